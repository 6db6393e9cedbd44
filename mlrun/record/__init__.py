"""What remains of a run."""
