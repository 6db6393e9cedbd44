"""What `charts.js` draws: the curves of a run's metrics, grouped by what they measure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

FIRST = ("loss", "accuracy", "top5-accuracy", "lr")  # of the charts, in this order
PARTS = ("train", "val", "test")  # which have the first colours
LONGEST = 2000  # points of one line in a page
Points = Sequence[tuple[int, float]]
Chart = dict[str, object]


def charts(history: Mapping[str, Points], best: int | None = None) -> dict[str, Chart]:
    """Returns a chart for each thing that is measured, `train` and `val` as lines of it.

    Args:
        history: (epoch, value) pairs of each metric; those under `step/` are by optimiser step
            and stand in charts of their own, those of the system are left out.
        best: the epoch to mark; None for none.

    Returns:
        The charts by key, `epoch/loss` or `step/loss`; epochs first.
    """
    lines: dict[tuple[str, str], dict[str, Points]] = {}
    for name, points in history.items():
        axis = "step" if name.startswith("step/") else "epoch"
        part, what = part_and_what(name.removeprefix("step/"), axis)
        if part != "system" and (len(points) > 1 or part in ("train", "val")):
            lines.setdefault((axis, what), {})[part] = points
    ordered = sorted(lines, key=lambda place: (place[0] == "step", order(place[1]), place[1]))
    return {
        f"{axis}/{what}": chart(what, axis, lines[axis, what], best if axis == "epoch" else None)
        for axis, what in ordered
    }


def part_and_what(name: str, axis: str) -> tuple[str, str]:
    """Returns the part that a metric is of, and what it measures.

    >>> part_and_what("val/loss", "epoch"), part_and_what("lr", "epoch")
    (('val', 'loss'), ('lr', 'lr'))
    >>> part_and_what("val-accuracy", "step"), part_and_what("loss", "step")
    (('val', 'accuracy'), ('train', 'loss'))
    """
    if axis == "epoch":
        part, _, what = name.rpartition("/")
        return part or what, what
    for part in PARTS:
        if name.startswith(f"{part}-"):
            return part, name.removeprefix(f"{part}-")
    return ("train" if name in ("loss", "accuracy") else name), name


def order(what: str) -> int:
    """Returns where a chart stands among the others."""
    return FIRST.index(what) if what in FIRST else len(FIRST)


def chart(what: str, axis: str, lines: Mapping[str, Points], best: int | None) -> Chart:
    """Returns the chart of one thing that is measured, a line for each part."""
    share = what.endswith("accuracy")
    found: Chart = {
        "title": what.replace("_", " "),
        "x": axis,
        "percent": share,
        "canLog": not share,
        "series": [
            line(name, points, PARTS.index(name) if name in PARTS else None)
            for name, points in sorted(lines.items(), key=lambda item: rank(item[0]))
        ],
    }
    if best is not None:
        found["marks"] = [{"x": best, "label": "best"}]
    return found


def rank(part: str) -> tuple[int, str]:
    """Returns where a line stands among the others of its chart."""
    return (PARTS.index(part) if part in PARTS else len(PARTS), part)


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
    """
    found: dict[str, object] = {"name": name, "points": thinned(points)}
    if colour is not None:
        found["colour"] = colour
    if rows := list(band):
        found["band"] = rows
    if dash:
        found["dash"] = True
    return found


def thinned(points: Sequence[tuple[float, float | None]]) -> list[tuple[float, float | None]]:
    """Returns the points, or evenly some of them and the last, if they are more than `LONGEST`."""
    every = -(-len(points) // LONGEST)
    kept = list(points[:: every or 1])
    return kept if not points or kept[-1] == points[-1] else [*kept, points[-1]]
