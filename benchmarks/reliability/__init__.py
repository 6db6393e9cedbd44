"""What is lost when things fail: `python -m benchmarks.reliability`."""
