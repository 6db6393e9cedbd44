"""One run while it lasts: trained, followed by callbacks, tested, ended."""
