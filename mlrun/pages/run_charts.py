"""The charts of one run: its metrics by epoch and by optimiser step, a line for each part."""

from __future__ import annotations

from collections.abc import Mapping

from mlrun.pages.charts import Chart, Points, line

FIRST = ("loss", "accuracy", "top5-accuracy", "lr")  # of the charts, in this order
PARTS = ("train", "val", "test")  # which have the first colours


def run_charts(history: Mapping[str, Points], best: int | None = None) -> dict[str, Chart]:
    """Returns a chart for each metric, in which `train` and `val` are lines.

    Args:
        history: (epoch, value) pairs of each metric; those under `step/` are by optimiser step
            and stand in charts of their own, those of the system are left out.
        best: the epoch to mark; None for none.

    Returns:
        The charts by key, `epoch/loss` or `step/loss`; epochs first.
    """
    lines: dict[str, dict[str, dict[str, Points]]] = {"epoch": {}, "step": {}}
    for name, points in history.items():
        axis = "step" if name.startswith("step/") else "epoch"
        part, metric = part_and_metric(name.removeprefix("step/"), axis)
        if part != "system" and (len(points) > 1 or part in ("train", "val")):
            lines[axis].setdefault(metric, {})[part] = points
    return {
        f"{axis}/{metric}": chart(metric, axis, by_part, best if axis == "epoch" else None)
        for axis, by_metric in lines.items()
        for metric, by_part in sorted(by_metric.items(), key=lambda item: chart_order(item[0]))
    }


def part_and_metric(name: str, axis: str) -> tuple[str, str]:
    """Returns the part that logged figures are of, and their metric.

    >>> part_and_metric("val/loss", "epoch"), part_and_metric("lr", "epoch")
    (('val', 'loss'), ('lr', 'lr'))
    >>> part_and_metric("val-accuracy", "step"), part_and_metric("loss", "step")
    (('val', 'accuracy'), ('train', 'loss'))
    """
    if axis == "epoch":
        part, _, metric = name.rpartition("/")
        return part or metric, metric
    for part in PARTS:
        if name.startswith(f"{part}-"):
            return part, name.removeprefix(f"{part}-")
    return ("train" if name in ("loss", "accuracy") else name), name


def chart_order(metric: str) -> tuple[int, str]:
    """Returns the sort key of a chart: those of `FIRST` in its order, then others by name."""
    return (FIRST.index(metric) if metric in FIRST else len(FIRST), metric)


def chart(metric: str, axis: str, by_part: Mapping[str, Points], best: int | None) -> Chart:
    """Returns the chart of one metric, a line for each part."""
    fraction = metric.endswith("accuracy")
    content: Chart = {
        "title": metric.replace("_", " "),
        "x": axis,
        "percent": fraction,
        "canLog": not fraction,
        "series": [
            line(part, points, PARTS.index(part) if part in PARTS else None)
            for part, points in sorted(by_part.items(), key=lambda item: line_order(item[0]))
        ],
    }
    if best is not None:
        content["marks"] = [{"x": best, "label": "best"}]
    return content


def line_order(part: str) -> tuple[int, str]:
    """Returns the sort key of a line in a chart: those of `PARTS` first, others by name."""
    return (PARTS.index(part) if part in PARTS else len(PARTS), part)
