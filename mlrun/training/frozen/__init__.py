"""Networks with a frozen part: where to cut them, and the cut."""
