"""The rows of a comparison: its runs and its groups of runs, with what was tested of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mlrun.pages.account import Account
from mlrun.pages.groups import Average, Group, averaged_at, run_labels
from mlrun.pages.pairs import Standing, standing

COLOURS = 10  # of the page's style


@dataclass(frozen=True)
class Row:
    """One run in the page.

    place: among the runs that are compared.
    colour: one of the page's, by group. dash: whether another group before has that colour.
    reached: the last epoch that was logged. best: validation figures of the best epoch.
    test: None where nothing was tested.
    """

    place: int
    account: Account
    label: str
    colour: int
    dash: bool
    reached: int | None
    best: Mapping[str, float]
    test: Standing | None

    @property
    def accuracy(self) -> float:
        """The accuracy in the test, 0–1; 0 where nothing was tested."""
        return 0.0 if self.test is None else self.test.accuracy


@dataclass(frozen=True)
class GroupRow:
    """One group of runs in the page.

    place: among the groups. test: mean and spread of the accuracies of its tested runs.
    seeds: of its runs, with commas between.
    """

    place: int
    group: Group
    colour: int
    dash: bool
    test: Average | None
    seeds: str


def rows_of(accounts: Sequence[Account], groups: Sequence[Group]) -> list[Row]:
    """Returns the runs as they stand in the page."""
    group_of = {run: place for place, group in enumerate(groups) for run in group.runs}
    return [
        Row(
            place=place,
            account=account,
            label=label,
            colour=group_of[place] % COLOURS,
            dash=group_of[place] >= COLOURS,
            reached=last_epoch(account),
            best=best_figures(account),
            test=standing(account.predictions),
        )
        for place, (account, label) in enumerate(
            zip(accounts, run_labels(accounts, groups), strict=True)
        )
    ]


def last_epoch(account: Account) -> int | None:
    """Returns the last epoch that a run logged; None if it logged none."""
    return max((points[-1][0] for points in account.history.values() if points), default=None)


def best_figures(account: Account) -> dict[str, float]:
    """Returns the validation figures of the best epoch; those of the last where none is best."""
    figures = {}
    for name in ("val/accuracy", "val/loss"):
        values = dict(account.history.get(name, ()))
        if values:
            epoch = account.best_epoch if account.best_epoch in values else max(values)
            figures[name] = values[epoch]
    return figures


def group_rows_of(rows: Sequence[Row], groups: Sequence[Group]) -> list[GroupRow]:
    """Returns the groups as they stand in the page."""
    group_rows = []
    for place, group in enumerate(groups):
        members = [rows[run] for run in group.runs]
        accuracies = [row.test.accuracy for row in members if row.test is not None]
        test = averaged_at(0, accuracies) if accuracies else None
        seeds = ", ".join(row.account.params.get("seed", "?") for row in members)
        first = members[0]
        group_rows.append(GroupRow(place, group, first.colour, first.dash, test, seeds))
    return group_rows


def ranked(rows: Sequence[Row], group_rows: Sequence[GroupRow]) -> list[tuple[GroupRow, list[Row]]]:
    """Returns the tested runs by group, the best group and in it the best run first."""
    by_mean = [(row.test.mean, row) for row in group_rows if row.test is not None]
    return [
        (group_row, best_first(rows[run] for run in group_row.group.runs))
        for _, group_row in sorted(by_mean, key=lambda item: item[0], reverse=True)
    ]


def best_first(rows: Iterable[Row]) -> list[Row]:
    """Returns the tested ones of the runs, by their accuracy."""
    candidates = [row for row in rows if row.test is not None]
    return sorted(candidates, key=lambda row: row.accuracy, reverse=True)
