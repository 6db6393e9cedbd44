"""`comparison.html`: params, metrics, pictures and test results of several runs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlrun.pages import album
from mlrun.pages.account import Account
from mlrun.pages.comparison_charts import MODES, comparison_charts
from mlrun.pages.comparison_rows import Row, best_first, group_rows_of, ranked, rows_of
from mlrun.pages.disagreements import SHOWN, Image, Prediction, disagreements
from mlrun.pages.groups import grouped
from mlrun.pages.page import render
from mlrun.pages.pairs import Pair, pairs
from mlrun.pages.results import class_names
from mlrun.pages.scale import Scale, scale_over
from mlrun.pages.stills import data_uri
from mlrun.record.overview import differing
from mlrun.record.pictures import encode

MATRIX_FROM = 3  # runs: of two there is but one pair


def comparison(accounts: Sequence[Account]) -> str:
    """Returns the page that compares these runs, two or more, in their order."""
    groups = grouped(accounts)
    rows = rows_of(accounts, groups)
    group_rows = group_rows_of(rows, groups)
    all_pairs = pairs(accounts, [row.label for row in rows])
    pictures = album.of_runs([account.pictures for account in accounts])
    images = disagreements(accounts, all_pairs)
    several = [row for row in group_rows if len(row.group.runs) > 1]
    charts = comparison_charts(accounts, groups, rows)
    return render(
        "comparison.html",
        scripts=("compare.js",),
        styles=("compare.css",),
        data={
            "charts": charts[MODES[0]],
            "lines": charts if several else {},
            "frames": pictures.frames,
            "runs": [{"label": r.label, "colour": r.colour, "dash": r.dash} for r in rows],
            "pairs": [pair_data(pair) for pair in all_pairs],
            "images": [image_data(accounts, image, by_run) for image, by_run in images],
            "shown": SHOWN,
        },
        rows=rows,
        several=several,
        differs=[name for name in differing(accounts) if name != "run_name"],
        shared=shared_params(accounts),
        charts=list(charts[MODES[0]]),
        pictures=pictures,
        scale=scale_of(rows),
        ranked=ranked(rows, group_rows),
        matrix=matrix(rows, all_pairs) if len(rows) >= MATRIX_FROM else [],
        verdicts=pairs_of_best(rows, all_pairs),
        corrected=sum(pair.difference is not None for pair in all_pairs),
        images=bool(images),
        default=default_pair(rows, all_pairs),
    )


def shared_params(accounts: Sequence[Account]) -> list[tuple[str, str]]:
    """Returns the params whose value is the same in all runs."""
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
    return scale_over(min(test.low for test in tests), max(test.high for test in tests), most=1.0)


def matrix(rows: Sequence[Row], all_pairs: Sequence[Pair]) -> list[list[dict[str, object] | None]]:
    """Returns a cell for each run (row) against each other (column); None on the diagonal."""
    by_runs = {(pair.first, pair.second): pair for pair in all_pairs}
    by_runs |= {(pair.second, pair.first): pair for pair in all_pairs}
    return [
        [
            None if row is column else cell(row, column, by_runs[row.place, column.place])
            for column in rows
        ]
        for row in rows
    ]


def cell(row: Row, column: Row, pair: Pair) -> dict[str, object]:
    """Returns a cell of the matrix: the difference of the accuracies, and which run is better."""
    content = {"first": pair.first, "second": pair.second, "sentence": pair.sentence}
    if pair.difference is None or row.test is None or column.test is None:
        return {**content, "text": "·", "tone": "none"}
    difference = row.accuracy - column.accuracy
    tone = "even" if not pair.difference.shown else "better" if difference > 0 else "worse"
    digits = 1 if abs(difference) >= 0.1 else 2
    return {**content, "text": f"{100 * difference:+.{digits}f}".replace("-", "−"), "tone": tone}


def pairs_of_best(rows: Sequence[Row], all_pairs: Sequence[Pair]) -> list[Pair]:
    """Returns the pairs of the best run with each other one, the next best first."""
    runs = best_first(rows)
    if not runs:
        return []
    best = runs[0].place
    of_best = [pair for pair in all_pairs if best in (pair.first, pair.second)]
    return sorted(of_best, key=lambda pair: rows[pair.other(best)].accuracy, reverse=True)


def default_pair(rows: Sequence[Row], all_pairs: Sequence[Pair]) -> Pair | None:
    """Returns the pair that is shown first: the best run and the next best to compare it with."""
    comparable = (pair for pair in pairs_of_best(rows, all_pairs) if pair.difference is not None)
    return next(comparable, None)


def pair_data(pair: Pair) -> dict[str, object]:
    """Returns a pair as `compare.js` reads it; `only`: images that one run alone has right."""
    data: dict[str, object] = {"runs": [pair.first, pair.second], "sentence": pair.sentence}
    if pair.difference is not None:
        data["only"] = [pair.difference.first, pair.difference.second]
    return data


def image_data(
    accounts: Sequence[Account], image: Image, by_run: Mapping[int, Prediction]
) -> dict[str, object]:
    """Returns a tested image as `compare.js` reads it; `answers` are [class, name, %] by run."""
    account = accounts[image.run]
    predictions, pixels = account.predictions, image.pixels
    assert predictions is not None
    channels = pixels[:3] if len(pixels) >= 3 else pixels[:1]
    label, names = int(predictions.labels[image.place]), class_names(account, predictions)
    return {
        "address": data_uri(encode(channels.transpose(1, 2, 0), "PNG"), "png"),
        "label": label,
        "name": names[label],
        "index": int(predictions.indices[image.place]),
        "answers": {
            run: [one.predicted, names[one.predicted], round(100 * one.probability, 1)]
            for run, one in by_run.items()
        },
    }
