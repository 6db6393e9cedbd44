"""Calibration: accuracy against confidence, bin by bin."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from mlrun import Picture, View
from mlrun.plugin import Calibration, interval
from mlrun.plugin import calibration as calibration_of
from mlrun_visualisers.canvas.predictions import evaluation_of
from mlrun_visualisers.canvas.signatures import PicturesAndTables, Table

MOST_COUNTS = 20  # bins up to which each one's count is written
Ends = list[tuple[float, float]]


def draw_calibration(view: View, *, bins: int, part: str | None) -> PicturesAndTables:
    """Yields the reliability diagram, and a table of its bins."""
    evaluation = evaluation_of(view, part)
    chances = evaluation.logits.double().softmax(1).numpy()
    calibration = calibration_of(chances, evaluation.labels.numpy(), bins=bins)
    ends = intervals_of(calibration)
    title = (
        f"{evaluation.part}, epoch {view.epoch}: "
        f"expected calibration error {digits(calibration.error)}\n"
        f"{len(evaluation.labels):,} images, accuracy {evaluation.accuracy:.4f}, "
        f"mean confidence {digits(chances.max(1).mean())}"
    )
    values = {
        "counts": calibration.counts,
        "confidence": calibration.confidence,
        "accuracy": calibration.accuracy,
        "intervals": np.array(ends),
    }
    yield "", Picture(diagram(calibration, ends, title), values)
    yield "table", table_of(calibration, ends)


def digits(figure: float) -> str:
    """Returns a figure with four decimals; a dash where there is none, as of a diverged model."""
    return f"{figure:.4f}" if np.isfinite(figure) else "–"


def intervals_of(calibration: Calibration) -> Ends:
    """Returns Wilson's 95 % interval of each bin's accuracy; NaN of an empty one."""
    right = np.nan_to_num(calibration.accuracy * calibration.counts).round().astype(int)
    return [
        interval(hits, count) if count else (np.nan, np.nan)
        for hits, count in zip(right.tolist(), calibration.counts.tolist(), strict=True)
    ]


def diagram(calibration: Calibration, ends: Ends, title: str) -> Figure:
    """Returns accuracy over confidence, and the bins' counts below."""
    figure = Figure(figsize=(5.6, 6.4), dpi=100, layout="constrained")
    figure.suptitle(title, fontsize=10)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    draw_reliability(upper, calibration, ends)
    draw_counts(lower, calibration)
    return figure


def draw_reliability(axes: Axes, calibration: Calibration, ends: Ends) -> None:
    """Draws each bin's accuracy with its interval, and how far it is from the confidence."""
    there = calibration.counts > 0
    sure, accuracy = calibration.confidence[there], calibration.accuracy[there]
    low, high = np.array(ends)[there].T
    axes.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1, label="as sure as right")
    axes.vlines(sure, sure, accuracy, color="C3", linewidth=4, alpha=0.35, label="gap")
    axes.errorbar(
        sure, accuracy, (np.maximum(accuracy - low, 0), np.maximum(high - accuracy, 0)),
        fmt="o", markersize=4, capsize=3, linewidth=1, color="C0", label="accuracy, 95 % interval",
    )  # fmt: skip
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), ylabel="accuracy (fraction)")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize=8)


def draw_counts(axes: Axes, calibration: Calibration) -> None:
    """Draws how many images each bin has, on a logarithmic axis: most are often in the last."""
    edges = np.linspace(0, 1, len(calibration.counts) + 1)
    axes.bar(edges[:-1], calibration.counts, np.diff(edges), align="edge", edgecolor="white")
    axes.set_yscale("log")
    axes.set_ylim(0.5, 6 * max(1, calibration.counts.max()))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set(xlabel="confidence: probability of the predicted class", ylabel="images (log)")
    if len(calibration.counts) <= MOST_COUNTS:
        for left, right, count in zip(edges[:-1], edges[1:], calibration.counts, strict=True):
            if count:
                middle = (left + right) / 2
                axes.text(middle, count * 1.15, f"{count:,}", ha="center", va="bottom", fontsize=7)


def table_of(calibration: Calibration, ends: Ends) -> Table:
    """Returns the bins as a table; an empty bin has no confidence and no accuracy."""
    edges = np.linspace(0, 1, len(calibration.counts) + 1)

    def rounded(values: Any) -> list[float | None]:
        return [None if np.isnan(value) else round(float(value), 4) for value in values]

    return {
        "from": rounded(edges[:-1]),
        "to": rounded(edges[1:]),
        "images": calibration.counts.tolist(),
        "confidence": rounded(calibration.confidence),
        "accuracy": rounded(calibration.accuracy),
        "low": rounded(low for low, _ in ends),
        "high": rounded(high for _, high in ends),
    }
