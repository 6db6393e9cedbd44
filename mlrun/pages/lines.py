"""The curves of several runs on one axis: a line for each run, or for each group of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from mlrun.pages.account import Account
from mlrun.pages.curves import Chart, line
from mlrun.pages.groups import Group, averaged

Mode = Literal["deviation", "range", "single"]  # the spread of a group, or each of its runs
MODES: tuple[Mode, ...] = ("deviation", "range", "single")
FIRST = ("val/accuracy", "val/loss", "train/accuracy", "train/loss")  # of the charts
LEFT_OUT = ("step/", "system/", "epoch_seconds")


class Line(Protocol):
    """How a run is drawn."""

    @property
    def label(self) -> str:
        """What the legend calls it."""

    @property
    def colour(self) -> int:
        """One of ten."""

    @property
    def dash(self) -> bool:
        """Whether it is broken."""


def charts(
    accounts: Sequence[Account], groups: Sequence[Group], drawn: Sequence[Line]
) -> dict[Mode, dict[str, Chart]]:
    """Returns a chart for each metric that changes in any run, by mode and metric.

    Args:
        accounts: of the runs.
        groups: of them; those of several runs are one line but for the mode `single`.
        drawn: how each run is.
    """
    names = {
        name
        for account in accounts
        for name, points in account.history.items()
        if len({value for _, value in points}) > 1 and not name.startswith(LEFT_OUT)
    }
    ordered = sorted(names, key=lambda name: (rank(name), name))
    return {
        mode: {
            name: {
                "title": name.replace("_", " "),
                "x": "epoch",
                "percent": name.endswith("accuracy"),
                "canLog": not name.endswith("accuracy"),
                "series": series(name, accounts, groups, drawn, mode),
            }
            for name in ordered
        }
        for mode in MODES
    }


def rank(name: str) -> int:
    """Returns where a metric's chart stands among the others."""
    return FIRST.index(name) if name in FIRST else len(FIRST)


def series(
    name: str,
    accounts: Sequence[Account],
    groups: Sequence[Group],
    drawn: Sequence[Line],
    mode: Mode,
) -> list[dict[str, object]]:
    """Returns the lines of one metric."""
    found = []
    for group in groups:
        histories = {run: accounts[run].history.get(name, ()) for run in group.runs}
        there = {run: points for run, points in histories.items() if points}
        if mode == "single" or len(there) < 2:
            found += [single(drawn[run], points) for run, points in there.items()]
        else:
            found.append(together(group, drawn[group.runs[0]], there, mode))
    return found


def single(one: Line, points: Sequence[tuple[int, float]]) -> dict[str, object]:
    """Returns the line of one run."""
    return line(one.label, points, one.colour, dash=one.dash)


def together(
    group: Group,
    first: Line,
    histories: Mapping[int, Sequence[tuple[int, float]]],
    mode: Mode,
) -> dict[str, object]:
    """Returns the mean of a group as a line, and its spread as a band."""
    averages = averaged(list(histories.values()))
    deviation = mode == "deviation"
    return line(
        f"{group.label} (mean of {len(histories)})",
        [(average.epoch, average.mean) for average in averages],
        first.colour,
        band=[
            (a.epoch, a.mean - a.deviation, a.mean + a.deviation)
            if deviation
            else (a.epoch, a.low, a.high)
            for a in averages
        ],
        dash=first.dash,
    )
