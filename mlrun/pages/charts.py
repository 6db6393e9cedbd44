"""Charts as `charts.js` reads them, and the lines in them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

MOST_POINTS = 2000  # of one line in a page
Points = Sequence[tuple[int, float]]
Chart = dict[str, object]


def line(
    name: str,
    points: Points | Sequence[tuple[float, float | None]],
    colour: int | None = None,
    *,
    band: Iterable[tuple[float, float, float]] = (),
    dash: bool = False,
) -> dict[str, object]:
    """Returns one line of a chart.

    Args:
        points: (x, y) pairs, ascending; of very many, some are kept.
        colour: one of ten, from 0; by the line's place by default.
        band: (x, low, high) around it.
        dash: whether it is broken.
    """
    entry: dict[str, object] = {"name": name, "points": thinned(points)}
    if colour is not None:
        entry["colour"] = colour
    if rows := list(band):
        entry["band"] = rows
    if dash:
        entry["dash"] = True
    return entry


def thinned(points: Sequence[tuple[float, float | None]]) -> list[tuple[float, float | None]]:
    """Returns the points; of more than `MOST_POINTS`, every second, third, … one and the last."""
    if len(points) <= MOST_POINTS:
        return list(points)
    sample = list(points[:: math.ceil(len(points) / MOST_POINTS)])
    return sample if sample[-1] == points[-1] else [*sample, points[-1]]
