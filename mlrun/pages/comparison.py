"""The comparison of several runs, in one page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlrun.pages import album
from mlrun.pages.account import Account
from mlrun.pages.disagreements import SHOWN, Answer, Image, disagreements
from mlrun.pages.groups import Average, Group, averaged_at, grouped, run_labels
from mlrun.pages.lines import MODES, charts
from mlrun.pages.page import render
from mlrun.pages.pairs import Pair, Standing, best_place, pairs, standing
from mlrun.pages.pictures import data_uri
from mlrun.pages.scale import Scale, scale_over
from mlrun.pages.tested import class_names
from mlrun.record.overview import differing
from mlrun.record.pictures import encode

COLOURS = 10  # of the page's style
MATRIX_FROM = 3  # runs: of two there is but one pair


@dataclass(frozen=True)
class Row:
    """One run in the page.

    colour: one of the page's, by group. dash: whether another group before has that colour.
    reached: the last epoch that was logged. best: figures of the best epoch.
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


@dataclass(frozen=True)
class Seeds:
    """A group of several runs: its place, what it came to in the test, and the seeds."""

    place: int
    group: Group
    colour: int
    dash: bool
    test: Average | None
    seeds: str


def comparison(accounts: Sequence[Account]) -> str:
    """Returns the page that compares these runs, two or more, in their order."""
    groups = grouped(accounts)
    rows = rows_of(accounts, groups)
    tested = [account.tested for account in accounts]
    found = pairs(tested, [row.label for row in rows])
    seeds = seeds_of(rows, groups)
    pictures = album.of_runs([account.pictures for account in accounts])
    images = disagreements(accounts, found)
    several = [some for some in seeds if len(some.group.runs) > 1]
    lines = charts(accounts, groups, rows)
    return render(
        "comparison.html",
        scripts=("compare.js",),
        styles=("compare.css",),
        data={
            "charts": lines[MODES[0]],
            "lines": lines if several else {},
            "frames": pictures.frames,
            "runs": [{"label": r.label, "colour": r.colour, "dash": r.dash} for r in rows],
            "pairs": [as_data(pair) for pair in found],
            "images": [image_data(accounts, image, answers) for image, answers in images],
            "shown": SHOWN,
        },
        rows=rows,
        several=several,
        differs=[name for name in differing(accounts) if name != "run_name"],
        shared=shared_params(accounts),
        charts=list(lines[MODES[0]]),
        pictures=pictures,
        scale=scale_of(rows),
        ranked=ranked(rows, seeds),
        matrix=matrix(rows, found) if len(rows) >= MATRIX_FROM else [],
        verdicts=verdicts(rows, found),
        corrected=sum(pair.difference is not None for pair in found),
        images=bool(images),
        default=default_pair(rows, found),
    )


def rows_of(accounts: Sequence[Account], groups: Sequence[Group]) -> list[Row]:
    """Returns what the page tells of each run."""
    group_at = {run: place for place, group in enumerate(groups) for run in group.runs}
    return [
        Row(
            place=place,
            account=account,
            label=label,
            colour=group_at[place] % COLOURS,
            dash=group_at[place] >= COLOURS,
            reached=max((p[-1][0] for p in account.history.values() if p), default=None),
            best=best_figures(account),
            test=None if account.tested is None else standing(account.tested),
        )
        for place, (account, label) in enumerate(
            zip(accounts, run_labels(accounts, groups), strict=True)
        )
    ]


def best_figures(account: Account) -> dict[str, float]:
    """Returns the validation figures of the best epoch; those of the last where none is best."""
    found = {}
    for name in ("val/accuracy", "val/loss"):
        points = dict(account.history.get(name, ()))
        if points:
            last = max(points)
            found[name] = points[last if account.best_epoch not in points else account.best_epoch]
    return found


def seeds_of(rows: Sequence[Row], groups: Sequence[Group]) -> list[Seeds]:
    """Returns the groups with what their runs came to in the test."""
    found = []
    for place, group in enumerate(groups):
        members = [rows[run] for run in group.runs]
        reached = [row.test.accuracy for row in members if row.test is not None]
        test = averaged_at(0, reached) if reached else None
        seeds = ", ".join(row.account.params.get("seed", "?") for row in members)
        found.append(Seeds(place, group, members[0].colour, members[0].dash, test, seeds))
    return found


def shared_params(accounts: Sequence[Account]) -> list[tuple[str, str]]:
    """Returns the params that all runs have alike."""
    first = accounts[0].params
    return sorted(
        (name, value)
        for name, value in first.items()
        if all(account.params.get(name) == value for account in accounts)
    )


def scale_of(rows: Sequence[Row]) -> Scale | None:
    """Returns the axis of the accuracies; None where nothing was tested."""
    tests = [row.test for row in rows if row.test is not None]
    if not tests:
        return None
    return scale_over(min(one.low for one in tests), max(one.high for one in tests), most=1.0)


def ranked(rows: Sequence[Row], seeds: Sequence[Seeds]) -> list[tuple[Seeds, list[Row]]]:
    """Returns the tested runs by group, the best group and in it the best run first."""
    found = [
        (
            some,
            sorted(
                (rows[run] for run in some.group.runs if rows[run].test is not None),
                key=lambda row: -(row.test.accuracy if row.test else 0),
            ),
        )
        for some in seeds
        if some.test is not None
    ]
    return sorted(found, key=lambda item: -(item[0].test.mean if item[0].test else 0))


def matrix(rows: Sequence[Row], found: Sequence[Pair]) -> list[list[dict[str, object] | None]]:
    """Returns a cell for each run (row) against each other (column); None on the diagonal."""
    by_place = {(pair.first, pair.second): pair for pair in found}
    return [
        [
            None if one is other else cell(one, other, by_place[ordered(one.place, other.place)])
            for other in rows
        ]
        for one in rows
    ]


def ordered(one: int, other: int) -> tuple[int, int]:
    """Returns both, the smaller one first."""
    return min(one, other), max(one, other)


def cell(one: Row, other: Row, pair: Pair) -> dict[str, object]:
    """Returns what the matrix shows of a pair: the accuracies' difference, and which is better."""
    held = {"first": pair.first, "second": pair.second, "sentence": pair.sentence}
    if pair.difference is None or one.test is None or other.test is None:
        return {**held, "text": "·", "tone": "none"}
    ahead = one.test.accuracy - other.test.accuracy
    tone = "even" if pair.difference.p >= 0.05 else "better" if ahead > 0 else "worse"
    digits = 1 if abs(ahead) >= 0.1 else 2
    return {**held, "text": f"{100 * ahead:+.{digits}f}".replace("-", "−"), "tone": tone}


def verdicts(rows: Sequence[Row], found: Sequence[Pair]) -> list[Pair]:
    """Returns the pairs of the best run with each other one, the next best first."""
    best = best_place([row.test for row in rows])
    theirs = [pair for pair in found if best in (pair.first, pair.second)]
    return sorted(theirs, key=lambda pair: -accuracies(rows, pair))


def accuracies(rows: Sequence[Row], pair: Pair) -> float:
    """Returns the sum of the accuracies of a pair; of a run that was not tested it is 0."""
    tests = (rows[place].test for place in (pair.first, pair.second))
    return math.fsum(one.accuracy for one in tests if one is not None)


def default_pair(rows: Sequence[Row], found: Sequence[Pair]) -> Pair | None:
    """Returns the pair that is shown first: the best run and the one that is next to it."""
    there = (pair for pair in verdicts(rows, found) if pair.difference is not None)
    return next(there, None)


def as_data(pair: Pair) -> dict[str, object]:
    """Returns what the page's script knows of a pair; `only` are images that one alone has."""
    held: dict[str, object] = {"runs": [pair.first, pair.second], "sentence": pair.sentence}
    if pair.difference is not None:
        held["only"] = [pair.difference.first, pair.difference.second]
    return held


def image_data(
    accounts: Sequence[Account], image: Image, answers: Mapping[int, Answer]
) -> dict[str, object]:
    """Returns what the page's script knows of a tested image; `answers` are [class, %] by run."""
    account = accounts[image.run]
    tested, pixels = account.tested, image.pixels
    assert tested is not None
    drawn = pixels[:3] if len(pixels) >= 3 else pixels[:1]
    label, names = int(tested.labels[image.place]), class_names(account, tested)
    return {
        "address": data_uri(encode(drawn.transpose(1, 2, 0), "PNG"), "png"),
        "label": label,
        "name": names[label],
        "index": int(tested.indices[image.place]),
        "answers": {
            run: [
                answer.predicted,
                names[answer.predicted],
                round(100 * answer.probability, 1),
            ]
            for run, answer in answers.items()
        },
    }
