"""From a visualiser to image files."""
