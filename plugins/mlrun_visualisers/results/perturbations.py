"""Accuracy against the amount by which images are changed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mlrun import MlrunError, Picture, View
from mlrun.plugin import Variant, interval
from mlrun_visualisers.canvas.choice import random_places
from mlrun_visualisers.canvas.signatures import PicturesAndTables, Table

OF_THE_SIDE = {"blur": (0.025, 0.05, 0.075, 0.1), "shift": (0.05, 0.1, 0.15, 0.2)}
UNITS = {
    "rotate": "degrees, either way",
    "noise": "standard deviation, pixels as 0–1",
    "blur": "standard deviation, pixels",
    "shift": "pixels, either way",
}


class Point(NamedTuple):
    """The accuracy on images changed by one amount, 0–1, and its 95 % interval."""

    change: str
    amount: float
    accuracy: float
    low: float
    high: float


def draw_robustness(
    view: View,
    *,
    amounts: Mapping[str, Sequence[float]],
    images: int,
    part: str | None,
    seed: int,
) -> PicturesAndTables:
    """Yields the picture, and a table of its points."""
    if not amounts:
        raise MlrunError("robustness: changes is none; expected at least one")
    variants = variants_of(amounts, min(view.shape[1:]))
    part = part or ("test" if "test" in view.parts else "val")
    count = len(view.labels(part))
    places = sorted(random_places(count, images, seed))
    plain = accuracy_of(view, part, places, Variant(), seed)
    points = [
        point_of(change, amount, accuracy_of(view, part, places, variant, seed), len(places))
        if amount
        else point_of(change, 0.0, plain, len(places))
        for change, of_change in variants.items()
        for amount, variant in of_change.items()
    ]
    title = (
        f"{part}, epoch {view.epoch}: accuracy on changed images, {len(places):,} of {count:,}; "
        f"as they are: {plain:.4f}"
    )
    values = {
        change: np.array([point[1:] for point in points if point.change == change])
        for change in variants
    }
    yield "", Picture(panels(points, title, 1 / len(view.classes)), values)
    yield "table", table_of(points, len(places))


def variants_of(
    amounts: Mapping[str, Sequence[float]], side: int
) -> dict[str, dict[float, Variant]]:
    """Returns for each change its variants by amount, which rise from 0: images as they are.

    Raises:
        MlrunError: an amount is out of its bounds.
    """
    variants: dict[str, dict[float, Variant]] = {}
    for change, of_change in amounts.items():
        values = of_change or [rounded(share * side) for share in OF_THE_SIDE.get(change, ())]
        if not any(values):
            raise MlrunError(f"robustness: {change} has no amount above 0")
        try:
            variants[change] = {
                amount: Variant(**{change: amount}) for amount in sorted({0.0, *values})
            }
        except ValueError as error:
            raise MlrunError(f"robustness: {error}") from None
    return variants


def rounded(amount: float) -> float:
    """Returns an amount with two digits that count."""
    return float(f"{amount:.2g}")


def accuracy_of(view: View, part: str, places: Sequence[int], variant: Variant, seed: int) -> float:
    """Returns the accuracy on the images at `places` of a part, changed by draws from `seed`."""
    return view.evaluation_of(part, places, variant=variant, seed=seed).accuracy


def point_of(change: str, amount: float, accuracy: float, images: int) -> Point:
    """Returns an accuracy on so many images with its interval."""
    return Point(change, amount, accuracy, *interval(round(accuracy * images), images))


def panels(points: Sequence[Point], title: str, chance: float) -> Figure:
    """Returns one panel for each change, two in a row, all on the same axis of accuracy."""
    changes = list(dict.fromkeys(point.change for point in points))
    columns = min(2, len(changes))
    rows = math.ceil(len(changes) / columns)
    width, height = 4.3 * columns + 0.6, 2.7 * rows + 0.5
    figure = Figure(figsize=(width, height), dpi=100)
    figure.suptitle(title, fontsize=10, y=1 - 0.12 / height)
    # inches around and between the panels: matplotlib's own layout takes longer than the rest
    figure.subplots_adjust(
        left=0.65 / width, right=1 - 0.15 / width, bottom=0.5 / height, top=1 - 0.7 / height,
        wspace=0.2 / 4, hspace=0.8 / 2,
    )  # fmt: skip
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axes, change in zip(grid.flat, changes, strict=False):
        draw_panel(axes, change, [p for p in points if p.change == change], chance)
    for axes in grid.flat[len(changes) :]:
        axes.remove()
    grid[0, 0].legend(loc="lower left", fontsize=8)
    for axes in grid[:, 0]:
        axes.set_ylabel("accuracy (fraction)")
    return figure


def draw_panel(axes: Axes, change: str, points: Sequence[Point], chance: float) -> None:
    """Draws the accuracies of one change with their intervals."""
    amounts = [point.amount for point in points]
    accuracies = [point.accuracy for point in points]
    axes.fill_between(
        amounts, [p.low for p in points], [p.high for p in points], alpha=0.2, linewidth=0,
        label="95 % interval",
    )  # fmt: skip
    axes.plot(amounts, accuracies, marker="o", markersize=4, label="accuracy")
    axes.axhline(chance, color="0.5", linestyle=":", linewidth=1, label="chance")
    axes.set_ylim(-0.02, 1.02)
    axes.set_xticks(amounts, [f"{amount:g}" for amount in amounts])
    axes.set_xlabel(UNITS[change])
    axes.set_title(change, fontsize=10)
    axes.grid(alpha=0.3)


def table_of(points: Sequence[Point], images: int) -> Table:
    """Returns the points as a table."""
    rows = [point._asdict() for point in points]
    table = {name: [row[name] for row in rows] for name in Point._fields}
    return {**table, "images": [images] * len(points)}
