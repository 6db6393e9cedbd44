"""The charts of several runs: a line for each run, or for each group of runs, by metric."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from mlrun.pages.account import Account
from mlrun.pages.charts import Chart, Points, line
from mlrun.pages.groups import Group, averaged

Mode = Literal["deviation", "range", "single"]  # the spread of a group, or each of its runs
MODES: tuple[Mode, ...] = ("deviation", "range", "single")
FIRST = ("val/accuracy", "val/loss", "train/accuracy", "train/loss")  # of the charts
LEFT_OUT = ("step/", "system/", "epoch_seconds")


class LineStyle(Protocol):
    """How the line of a run is drawn."""

    @property
    def label(self) -> str:
        """Its text in the legend."""

    @property
    def colour(self) -> int:
        """One of ten."""

    @property
    def dash(self) -> bool:
        """Whether it is broken."""


def comparison_charts(
    accounts: Sequence[Account], groups: Sequence[Group], styles: Sequence[LineStyle]
) -> dict[Mode, dict[str, Chart]]:
    """Returns a chart for each metric that changes in any run, by mode and metric.

    Args:
        accounts: of the runs.
        groups: of the runs; one of several runs is one line, but in the mode `single`.
        styles: of each run.
    """
    names = {
        name
        for account in accounts
        for name, points in account.history.items()
        if len({value for _, value in points}) > 1 and not name.startswith(LEFT_OUT)
    }
    names_in_order = sorted(names, key=chart_order)
    return {
        mode: {
            name: {
                "title": name.replace("_", " "),
                "x": "epoch",
                "percent": name.endswith("accuracy"),
                "canLog": not name.endswith("accuracy"),
                "series": series(name, accounts, groups, styles, mode),
            }
            for name in names_in_order
        }
        for mode in MODES
    }


def chart_order(name: str) -> tuple[int, str]:
    """Returns the sort key of a metric: those of `FIRST` in its order, then others by name."""
    return (FIRST.index(name) if name in FIRST else len(FIRST), name)


def series(
    name: str,
    accounts: Sequence[Account],
    groups: Sequence[Group],
    styles: Sequence[LineStyle],
    mode: Mode,
) -> list[dict[str, object]]:
    """Returns the lines of one metric."""
    lines = []
    for group in groups:
        histories = {run: accounts[run].history.get(name, ()) for run in group.runs}
        curves = {run: points for run, points in histories.items() if points}
        if mode == "single" or len(curves) < 2:
            lines += [run_line(styles[run], points) for run, points in curves.items()]
        else:
            lines.append(group_line(group, styles[group.runs[0]], list(curves.values()), mode))
    return lines


def run_line(style: LineStyle, points: Points) -> dict[str, object]:
    """Returns the line of one run."""
    return line(style.label, points, style.colour, dash=style.dash)


def group_line(
    group: Group, style: LineStyle, histories: Sequence[Points], mode: Mode
) -> dict[str, object]:
    """Returns the mean of a group's runs as a line, and its spread as a band."""
    averages = averaged(histories)
    deviation = mode == "deviation"
    return line(
        f"{group.label} (mean of {len(histories)})",
        [(average.epoch, average.mean) for average in averages],
        style.colour,
        band=[
            (a.epoch, a.mean - a.deviation, a.mean + a.deviation)
            if deviation
            else (a.epoch, a.low, a.high)
            for a in averages
        ],
        dash=style.dash,
    )
