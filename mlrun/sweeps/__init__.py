"""Many runs under one parent in MLflow: several seeds, folds, the trials of a sweep."""
