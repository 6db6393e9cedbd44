"""The record of a run: written to MLflow, and read back from it."""
