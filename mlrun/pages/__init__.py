"""Pages to read in a browser: the report of one run, and the comparison of several."""
