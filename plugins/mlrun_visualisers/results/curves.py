"""Learning curves, by epoch and by optimiser step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter
from numpy.typing import NDArray

from mlrun import MlrunError, Picture, View

FIGURES = {"loss": "mean over the examples", "accuracy": "fraction"}
MOST_POINTS = 600  # steps up to which each is a point; from there on, means of some in a row
BINS = 300  # about as many as can be distinguished
FEW = 50  # points up to which each has a dot
Curve = Sequence[tuple[int, float]]
Numbers = NDArray[np.float64]


class Style(NamedTuple):
    """How one kind of curve is drawn."""

    label: str
    colour: str
    width: float


EPOCH_STYLES = {"train/": Style("train", "C0", 1.5), "val/": Style("val", "C1", 1.5)}
STEP_STYLES = {
    "step/": Style("train, each batch", "0.5", 0.8),
    "step/train-": Style("train", "C0", 1.5),
    "step/val-": Style("val", "C1", 1.5),
}


def draw_learning_curves(view: View, *, by: str) -> Picture:
    """Returns loss and accuracy side by side, by epoch or by optimiser step."""
    if by == "epoch":
        return draw_panels(view.history, EPOCH_STYLES, "epoch")
    names = [prefix + figure for prefix in STEP_STYLES for figure in FIGURES]
    if not any(view.steps.get(name) for name in names):
        raise MlrunError(
            "learning-curves: by is step, but this run logs nothing by step; add --log-every 1 "
            "for the figures of each batch, --evaluate-every 10steps for those of the validation "
            "part, and --evaluate-train for those of the training part"
        )
    return draw_panels(view.steps, STEP_STYLES, "optimiser step")


def draw_panels(curves: Mapping[str, Curve], styles: Mapping[str, Style], unit: str) -> Picture:
    """Returns one panel for each figure, with the curves that there are in it.

    Args:
        curves: by name.
        styles: of the curves whose names are one of these and the figure's.
        unit: of the horizontal axis.

    Each curve's (place, value) pairs are kept as float64 (n, 2), named with - for /.
    """
    figure = Figure(figsize=(9, 3.6), dpi=100, layout="constrained")
    values: dict[str, Numbers] = {}
    last = max(1, last_of(curves.values()))
    width = 1 if last <= MOST_POINTS else -(-last // BINS)
    for place, (name, measure) in enumerate(FIGURES.items(), start=1):
        axes = figure.add_subplot(1, 2, place)
        for prefix, style in styles.items():
            curve = curves.get(prefix + name, ())
            draw_curve(axes, curve, style, width)
            if curve:
                values[(prefix + name).replace("/", "-")] = np.array(list(curve), dtype=np.float64)
        axes.set_xlabel(f"{unit} (0: before training)")
        axes.set_ylabel(f"{name} ({measure})")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.grid(alpha=0.3)
        axes.set_xlim(-0.05 * last, 1.05 * last)
        if axes.lines:
            axes.legend()
        if axes.collections:
            figure.supxlabel(f"means of {width} {unit}s; shade: lowest to highest", fontsize=9)
    return Picture(figure, values)


def last_of(curves: Iterable[Curve]) -> int:
    """Returns the last epoch or step of all curves; 0 if there are none."""
    return max((curve[-1][0] for curve in curves if curve), default=0)


def draw_curve(axes: Axes, curve: Curve, style: Style, width: int) -> None:
    """Draws a curve; where several values were put together, their range as a shade."""
    if not curve:
        return
    places, means, lows, highs = binned(curve, width)
    marker = "." if len(places) <= FEW else ""
    axes.plot(
        places, means, marker=marker, label=style.label, color=style.colour, linewidth=style.width
    )
    if len(places) < len(curve):
        axes.fill_between(places, lows, highs, color=style.colour, alpha=0.25, linewidth=0)


def binned(curve: Curve, width: int) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    """Returns places, means, lowest and highest values of a curve, `width` places together.

    The places of a curve rise. Each result is float64 (bins,); a bin that the curve has no
    value in is left out.
    """
    places, values = (np.array(column, dtype=np.float64) for column in zip(*curve, strict=True))
    _, starts, counts = np.unique(places // width, return_index=True, return_counts=True)
    return (
        np.add.reduceat(places, starts) / counts,
        np.add.reduceat(values, starts) / counts,
        np.minimum.reduceat(values, starts),
        np.maximum.reduceat(values, starts),
    )
