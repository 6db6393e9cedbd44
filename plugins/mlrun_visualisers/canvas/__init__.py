"""What the visualisers draw with: scales, grids, texts, figures, and the choice of what is drawn.

Its modules are imported by name; this file imports none of them, for most need matplotlib.
"""
