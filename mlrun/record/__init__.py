"""What remains of a run: written to MLflow, and found there again."""
