"""How fast mlrun is, as ratios measured in one run: `python -m benchmarks all`."""
