"""One run while it lasts."""
