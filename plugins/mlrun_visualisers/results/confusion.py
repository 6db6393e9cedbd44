"""Confusion matrices, at the end and by epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from mlrun import MlrunError, Picture, View
from mlrun_visualisers.canvas.captions import (
    blank_figure,
    shortened,
    slanted,
    text_width,
    write_below,
)
from mlrun_visualisers.canvas.scales import colour_map

if TYPE_CHECKING:
    from mlrun.plugin import Evaluation

MOST_COUNTS = 30  # classes up to which counts and names can be read
LONGEST_NAME = 90  # pixels of a class's name in a caption's font
LARGEST, SMALLEST = 10, 6  # points: of a count
NAMES = 9  # points: of the classes' names
CELL, MARGIN = 48, 8  # pixels: the least side of a cell; what it is wider than its count
LEAST, MOST, PLAIN = 320, 1200, 560  # pixels: the side of all cells; of those without counts
TOP, AROUND, BAR = 40, 48, 72  # pixels: above the cells; beside the names; around the bar
BRIGHT = 0.55  # luma from which black is read better than white


def draw_confusion_matrix(view: View, *, cmap: str) -> Picture:
    """Returns the confusion matrix of the test part, or validation if there is none."""
    return draw_matrix(view, view.predictions, cmap)


def draw_confusion_by_epoch(
    view: View, *, parts: Sequence[str], cmap: str
) -> Iterator[tuple[str, Picture]]:
    """Yields the confusion matrix of each part, named like the part."""
    if not parts:
        raise MlrunError("confusion-by-epoch: parts is none; expected train, val or both")
    for part in dict.fromkeys(parts):
        yield part, draw_matrix(view, view.evaluation(part), cmap)


def draw_matrix(view: View, evaluation: Evaluation, cmap: str) -> Picture:
    """Returns the confusion matrix of an evaluation: rows true, columns predicted.

    The scale runs from 0 to the number of images of the largest class, so that epochs and
    runs line up. Counts and names are written up to 30 classes.
    """
    counts: NDArray[np.int64] = evaluation.confusion.numpy()
    largest = int(counts.sum(1).max())
    legible = len(counts) <= MOST_COUNTS
    names = [shortened(name, LONGEST_NAME) for name in view.classes] if legible else ["000"]
    side, size = cells(len(counts), str(largest)) if legible else (PLAIN, 0)
    figure, axes, bar = laid_out(side, names, str(largest))
    colours, scale = colour_map(cmap), Normalize(0, largest)
    image = axes.imshow(counts, cmap=colours, norm=scale)
    figure.colorbar(image, cax=bar, label="images", ticks=MaxNLocator(6, integer=True))
    axes.set_title(
        f"{evaluation.part}, epoch {view.epoch}: "
        f"accuracy {evaluation.accuracy:.4f}, {len(evaluation.labels):,} images",
        fontsize=10,
    )
    axes.set_xlabel("predicted" if legible else "predicted (number of the class)")
    axes.set_ylabel("true" if legible else "true (number of the class)")
    if legible:
        write_below(axes, names, size=NAMES)
        axes.set_yticks(range(len(names)), names, fontsize=NAMES, parse_math=False)
        bright = colours(scale(counts))[..., :3] @ np.array([0.299, 0.587, 0.114]) > BRIGHT
        write_counts(axes, counts, bright, size)
    return Picture(figure, {"counts": counts})


def cells(classes: int, widest: str) -> tuple[int, int]:
    """Returns the side in pixels of all cells, and the points of the counts in them.

    They depend on the widest count that there can be, not on those there are, and so are the
    same in each epoch.
    """
    room = MOST // classes - MARGIN
    sizes = range(LARGEST, SMALLEST, -1)
    size = next((size for size in sizes if text_width(widest, size) <= room), SMALLEST)
    cell = max(CELL, int(text_width(widest, size)) + MARGIN)
    return max(LEAST, min(MOST, cell * classes)), size


def laid_out(side: int, names: Sequence[str], widest: str) -> tuple[Figure, Axes, Axes]:
    """Returns a figure with room for `side` × `side` pixels, the names and a colour bar.

    By hand: matplotlib's own layout measures every text of every cell, which takes seconds.
    """
    longest = max(text_width(name, NAMES) for name in names)
    left = AROUND + longest
    bottom = AROUND + (longest * 0.75 if slanted(names) else 0)
    right = BAR + text_width(widest, LARGEST)
    width, height = left + side + right, TOP + side + bottom
    figure = blank_figure(width, height)
    axes = figure.add_axes((left / width, bottom / height, side / width, side / height))
    bar_side = 0.8 * side
    place = (left + side + 20, bottom + 0.1 * side)
    bar = figure.add_axes((place[0] / width, place[1] / height, 16 / width, bar_side / height))
    return figure, axes, bar


def write_counts(
    axes: Axes, counts: NDArray[np.int64], bright: NDArray[np.bool_], size: int
) -> None:
    """Writes each count into its cell: dark on what is bright, light on the rest, zeros pale."""
    for row, column in np.ndindex(*counts.shape):
        axes.text(
            column,
            row,
            str(counts[row, column]),
            ha="center",
            va="center",
            fontsize=size,
            color="black" if bright[row, column] else "white",
            alpha=1.0 if counts[row, column] else 0.35,
        )
