"""Many runs under one parent in MLflow: several seeds, the folds of a cross-validation."""
