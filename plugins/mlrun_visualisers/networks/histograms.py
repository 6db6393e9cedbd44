"""Weights and gradients of each layer: their distributions, and their sizes by epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from mlrun import Picture, View
from mlrun_visualisers.canvas.captions import (
    SIDE,
    blank_figure,
    shape_text,
    shortened,
    size_of,
    write_title,
)
from mlrun_visualisers.canvas.scales import power_of_two
from mlrun_visualisers.networks.parameters import (
    Figures,
    Floats,
    Layer,
    figures_of,
    layers_of,
    some_of,
)

TOP, ROW, AXIS = 48, 64, 56  # pixels: the title's height, a layer's, an axis's with its name
NAMES, PANEL, BETWEEN = 190, 360, 60  # pixels: width of the names, of a column, between columns
CURVES = 170  # pixels: the height of the curves
HIGHEST = 0.62  # of a row: its highest bin
BINS = 80
# what curves are of: its name, and where it stands among a layer's values
CURVES_OF = (("mean |weight|", "weights", 2), ("norm of the gradient", "gradients", 3))
LEAST, MOST = -9, 1  # powers of ten: the ends of the axis of gradients
FONT = 8  # points
Numbers = NDArray[np.float64]
Counts = NDArray[np.int64]


def draw_weight_statistics(view: View, *, names: Sequence[str], images: int) -> Picture:
    """Returns the picture: a row for each layer, and curves through the epochs below.

    Its values are, for each layer, the `Figures` and the counts of both histograms.
    """
    layers = layers_of(view, names, images)
    weights = [figures_of(layer.weights) for layer in layers]
    gradients = [figures_of(layer.gradients) for layer in layers]
    figure = sheet(len(layers))
    write_names(figure, layers)
    counts = draw_weights(panel(figure, 0, len(layers)), layers, weights)
    gradient_counts = draw_gradients(panel(figure, 1, len(layers)), layers, gradients)
    values: dict[str, NDArray[Any]] = {}
    for row, layer in enumerate(layers):
        name = layer.name
        values[f"{name}-weights"], values[f"{name}-weights-counts"] = weights[row].row, counts[row]
        values[f"{name}-gradients"] = gradients[row].row
        values[f"{name}-gradients-counts"] = gradient_counts[row]
    draw_past(figure, view, values, [layer.name for layer in layers])
    used = min(images, len(view.labels("train")))
    write_title(
        figure,
        f"weights and gradients by layer, epoch {view.epoch}\n"
        f"gradients of the loss on the first {used:,} training images, in evaluation mode",
    )
    return Picture(figure, values)


def draw_past(
    figure: Figure, view: View, values: Mapping[str, NDArray[Any]], names: Sequence[str]
) -> None:
    """Draws the curves over this epoch and those before, whose values the view keeps."""
    past = {**{epoch: figures[""] for epoch, figures in view.kept.items()}, view.epoch: values}
    for column, (what, kind, place) in enumerate(CURVES_OF):
        rows = [[figures[f"{name}-{kind}"][place] for name in names] for figures in past.values()]
        draw_curves(panel(figure, column), list(past), np.array(rows), what)


def sheet(layers: int) -> Figure:
    """Returns an empty figure with room for so many layers and the curves."""
    width = 2 * SIDE + NAMES + 2 * PANEL + BETWEEN
    height = TOP + layers * ROW + AXIS + CURVES + AXIS
    return blank_figure(width, height)


def panel(figure: Figure, column: int, rows: int | None = None) -> Axes:
    """Returns a panel of one of two columns: that of so many rows, or the curves below them."""
    width, height = size_of(figure)
    left = SIDE + NAMES + column * (PANEL + BETWEEN)
    bottom, high = (AXIS, CURVES) if rows is None else (2 * AXIS + CURVES, rows * ROW)
    axes = figure.add_axes((left / width, bottom / height, PANEL / width, high / height))
    axes.tick_params(labelsize=FONT)
    if rows is not None:
        axes.set(ylim=(0, rows), yticks=[])
        axes.hlines(range(1, rows), 0, 1, transform=axes.get_yaxis_transform(), color="0.85", lw=1)
    return axes


def write_names(figure: Figure, layers: Sequence[Layer]) -> None:
    """Writes the name and the shape of each layer at the left of its row, in its colour."""
    width, height = size_of(figure)
    for row, layer in enumerate(layers):
        middle = 1 - (TOP + (row + 0.5) * ROW) / height
        for text, colour, where in (
            (shortened(layer.name, NAMES - 8), colour_of(row), "bottom"),
            (shortened(shape_text(layer.shape), NAMES - 8), "0.3", "top"),
        ):
            figure.text(
                SIDE / width, middle, text, va=where, fontsize=FONT, color=colour, parse_math=False
            )


def colour_of(row: int) -> str:
    """Returns the colour of a layer."""
    return f"C{row % 10}"


def draw_weights(axes: Axes, layers: Sequence[Layer], summaries: Sequence[Figures]) -> list[Counts]:
    """Draws the distribution of each layer's weights, up to a power of two on either side.

    Returns the counts of each histogram.
    """
    edges, counts = np.linspace(-1, 1, BINS + 1), []
    for row, (layer, figures) in enumerate(zip(layers, summaries, strict=True)):
        limit = power_of_two(layer.weights)
        base = len(layers) - row - 1
        text = f"std {figures.std:.3g}, mean {figures.mean:.2g}, limit ±{limit:g}"
        some = some_of(layer.weights) / limit
        counts.append(draw_row(axes, base, some, edges, row, text))
        axes.vlines(0, base, base + HIGHEST, color="0.4", linewidth=0.8)
    axes.set_xlim(-1, 1)
    axes.set_xticks([-1, -0.5, 0, 0.5, 1], ["-limit", "", "0", "", "limit"])
    axes.set_xlabel("weights", fontsize=FONT)
    return counts


def draw_gradients(
    axes: Axes, layers: Sequence[Layer], summaries: Sequence[Figures]
) -> list[Counts]:
    """Draws the distribution of the sizes of each layer's gradients, in powers of ten.

    What lies beyond the axis is counted at its ends; a text gives the share of zeros.

    Returns the counts of each histogram.
    """
    edges, counts = np.linspace(LEAST, MOST, BINS + 1), []
    for row, (layer, figures) in enumerate(zip(layers, summaries, strict=True)):
        if layer.gradients is None:
            text, sizes = f"no gradient: {layer.why}", np.empty(0, np.float32)
        else:
            some = np.abs(some_of(layer.gradients))
            none = f", {100 * (some == 0).mean():.0f} % are 0" if (some == 0).any() else ""
            text = f"norm {figures.norm:.3g}{none}"
            sizes = np.log10(some[some > 0]).clip(LEAST, MOST)
        counts.append(draw_row(axes, len(layers) - row - 1, sizes, edges, row, text))
    axes.set_xlim(LEAST, MOST)
    places = range(LEAST, MOST + 1, 2)
    axes.set_xticks(places, [power_of_ten(place) for place in places])
    axes.set_xlabel("sizes of the gradients", fontsize=FONT)
    return counts


def draw_row(axes: Axes, base: int, values: Floats, edges: Numbers, row: int, text: str) -> Counts:
    """Draws a histogram, as high as a row has room, and a line of text above it."""
    counts, _ = np.histogram(values[np.isfinite(values)], edges)
    if counts.any():
        heights = base + HIGHEST * counts / counts.max()
        axes.stairs(heights, edges, baseline=base, fill=True, color=colour_of(row), alpha=0.75)
    place = (0.01, base + 0.95)
    axes.text(*place, text, transform=axes.get_yaxis_transform(), va="top", fontsize=FONT)
    return np.asarray(counts, dtype=np.int64)


def power_of_ten(exponent: int) -> str:
    """Returns a power of ten as an axis writes it."""
    return f"1e{exponent}" if abs(exponent) > 1 else f"{10.0**exponent:g}"


def draw_curves(axes: Axes, epochs: Sequence[int], values: Numbers, what: str) -> None:
    """Draws a figure of each layer by epoch, its logarithm on an axis of whole decades.

    Args:
        epochs: E of them, rising.
        values: (E, layers); what is not above 0 is left out.
    """
    sizes = np.log10(np.where(values > 0, values, math.nan))
    there = sizes[np.isfinite(sizes)]
    low, high = (math.floor(there.min()), math.ceil(there.max())) if there.size else (-1, 0)
    high = max(high, low + 1)
    marker = "." if len(epochs) <= 30 else ""
    for row, of_layer in enumerate(sizes.T):
        axes.plot(
            epochs, of_layer, marker=marker, color=colour_of(row), linewidth=1.2, clip_on=False
        )
    places = range(low, high + 1, -(-(high - low) // 6))
    axes.set_yticks(places, [power_of_ten(place) for place in places])
    axes.set(ylim=(low, high), xlim=(-0.02 * max(1, epochs[-1]), 1.02 * max(1, epochs[-1])))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_title(what, fontsize=FONT + 1, loc="left", pad=4)
    axes.set_xlabel("epoch (0: before training)", fontsize=FONT)
    axes.grid(alpha=0.3)
