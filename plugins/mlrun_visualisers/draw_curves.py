"""Learning curves."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mlrun import View


def draw_learning_curves(view: View) -> Figure:
    """Returns loss and accuracy by epoch, side by side."""
    figure = Figure(figsize=(9, 3.6), dpi=100, layout="constrained")
    for place, (figure_name, unit) in enumerate(
        [("loss", "mean over the examples"), ("accuracy", "fraction")], start=1
    ):
        axes = figure.add_subplot(1, 2, place)
        for part in ("train", "val"):
            pairs = view.history.get(f"{part}/{figure_name}", ())
            if pairs:
                epochs, values = zip(*pairs, strict=True)
                axes.plot(epochs, values, marker=".", label=part)
        axes.set_xlabel("epoch (0: before training)")
        axes.set_ylabel(f"{figure_name} ({unit})")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        last = max((epoch for pairs in view.history.values() for epoch, _ in pairs), default=0)
        axes.set_xlim(-0.05 * max(last, 1), 1.05 * max(last, 1))
        if axes.lines:
            axes.legend()
    return figure
