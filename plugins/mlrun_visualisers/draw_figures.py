"""Figures of the end: confusion matrix and learning curves."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mlrun import View
from mlrun_visualisers.captions import shortened
from mlrun_visualisers.grids import colour_map

MOST_COUNTS = 30  # classes up to which counts and names can be read
LONGEST_NAME = 90  # pixels of a class's name in a caption's font


def draw_confusion_matrix(view: View, *, cmap: str) -> Figure:
    """Returns the confusion matrix: rows true, columns predicted."""
    found = view.predictions
    counts = found.confusion.numpy()
    classes = len(view.classes)
    legible = classes <= MOST_COUNTS
    names = [shortened(name, LONGEST_NAME) for name in view.classes]
    side = max(4.2, min(12.0, 2.6 + 0.42 * classes)) if legible else 7.0
    figure = Figure(figsize=(side + 0.8, side), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(counts, cmap=colour_map(cmap), vmin=0)
    figure.colorbar(image, ax=axes, shrink=0.8, label="images", ticks=MaxNLocator(6, integer=True))
    axes.set_title(
        f"{found.part}, epoch {view.epoch}: "
        f"accuracy {found.accuracy:.4f}, {len(found.labels):,} images",
        fontsize=10,
    )
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if legible:
        slant = max(map(len, names)) > 3
        axes.set_xticks(
            range(classes),
            names,
            rotation=45 if slant else 0,
            ha="right" if slant else "center",
            parse_math=False,
        )
        axes.set_yticks(range(classes), names, parse_math=False)
        write_counts(axes, counts)
    return figure


def write_counts(axes: Axes, counts: object) -> None:
    """Writes each count into its cell, light on dark."""
    import numpy as np

    table = np.asarray(counts)
    dark = table.max() / 2
    for row, column in np.ndindex(*table.shape):
        count = int(table[row, column])
        axes.text(
            column,
            row,
            str(count),
            ha="center",
            va="center",
            fontsize=8,
            color="white" if count > dark else "black",
        )


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
