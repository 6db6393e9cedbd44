"""A run that could start: components built, data loaded, weights restored."""
