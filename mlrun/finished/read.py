"""A run read back from MLflow: its metrics, pictures, tables and predictions, for a page."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TypeVar

import numpy as np

from mlrun.finished.artifacts import Artifacts, arrays_in, picture_in
from mlrun.pages.account import Account, Thumbnails
from mlrun.pages.results import ROBUSTNESS, robustness
from mlrun.pages.thumbnails import of_archive
from mlrun.record.evaluations import FOLDER, evaluation_tag, predictions_file, thumbnails_file
from mlrun.record.failures import failures_of
from mlrun.record.logged import LoggedRun
from mlrun.record.lookup import answering
from mlrun.record.pictures import ORDER_TAG, key_and_step
from mlrun.record.run_files import Unreadable
from mlrun.record.tables import Table, read_table
from mlrun.settings.plan import text_of
from mlrun.training.predictions import Predictions

LOG = logging.getLogger(__name__)
T = TypeVar("T")
MOST_STEPS = 2000  # points of a curve by optimiser step: more than a screen has columns


def read_account(
    run: LoggedRun, folder: Path, *, most_epochs: int | None = None, steps: bool = True
) -> Account:
    """Returns all that a page shows of a run, in any state; what MLflow does not have is empty.

    So is what cannot be read, which the account names with the reason.

    Args:
        run: one that ended in any way, or is still running.
        folder: takes the pictures and figures, in a folder of the run's own, and must stay
            while the account is used.
        most_epochs: so many pictures of each key at most, evenly spread, the first and the last
            among them; None for all.
        steps: whether to read the curves by optimiser step, which may take seconds each.

    Raises:
        MlrunError: the store does not answer.
    """
    if run.presence is not None and run.presence.is_gone:
        LOG.warning("run %s: %s", run.run_id, run.why_none())
    artifacts = Artifacts(run, folder)
    tables = read_tables(artifacts)
    evaluations = artifacts.listed(FOLDER, ".npz")
    predictions = read_predictions(artifacts, evaluations)
    part = "" if predictions is None else predictions.part
    return Account(
        run_id=run.run_id,
        name=run.name,
        link=run.link,
        status=run.status,
        started=run.started,
        seconds=None if run.ended is None else (run.ended - run.started) / 1000,
        best_epoch=run.best_epoch,
        params=read_params(artifacts),
        tags=run.tags,
        history=read_history(run, steps=steps),
        classes=tuple(str(name) for name in tables.get("per-class", {}).get("class", ())),
        predictions=predictions,
        evaluated_on=run.tags.get(evaluation_tag(part), ""),
        thumbnails=read_thumbnails(artifacts, evaluations, predictions),
        pictures=read_pictures(artifacts, most_epochs),
        figures=read_figures(artifacts),
        tables=tables,
        failures=failures_of(run.tags),
        unreadable=artifacts.unreadable,
    )


def read_params(artifacts: Artifacts) -> dict[str, str]:
    """Returns the params of the run, and those lines of its settings that are no param of it.

    Both are as they were written, whatever of it this version understands.
    """
    run = artifacts.run
    if not run.params:  # it has just begun
        return {}
    try:
        recalled = run.recalled
    except Unreadable as error:
        artifacts.lose(PurePosixPath("settings.yaml"), error.reason)
        return dict(run.params)
    lines = {**recalled.unknown, **recalled.settings.options}
    others = {name: text_of(value) for name, value in lines.items() if name not in run.params}
    return {**run.params, **others}


def read_history(run: LoggedRun, *, steps: bool) -> dict[str, list[tuple[int, float]]]:
    """Returns (step, value) pairs of each metric, but for those of the system.

    Of several values at a step it is the last that was logged. A curve by optimiser step is
    thinned to `MOST_STEPS` points, its first and its last among them.
    """
    prefixes = ("system/",) if steps else ("system/", "step/")
    names = sorted(name for name in run.metrics if not name.startswith(prefixes))
    history: dict[str, list[tuple[int, float]]] = {}
    with answering():
        for name in names:
            entries = run.client.get_metric_history(run.run_id, name)
            entries = sorted(entries, key=lambda entry: (entry.step, entry.timestamp))
            pairs = list({entry.step: entry.value for entry in entries}.items())
            history[name] = spread(pairs, MOST_STEPS) if name.startswith("step/") else pairs
    return history


def spread(items: Sequence[T], most: int) -> list[T]:
    """Returns `most` of the items at most, evenly spread, the first and the last among them.

    >>> spread(range(11), 3), spread("ab", 3)
    ([0, 5, 10], ['a', 'b'])
    """
    if len(items) <= most:
        return list(items)
    places = np.linspace(0, len(items) - 1, most).round().astype(int)
    return [items[place] for place in places]


def read_tables(artifacts: Artifacts) -> dict[str, Table]:
    """Returns the tables of the run by name, but for those with images."""
    tables = artifacts.read(artifacts.listed("tables", ".json"), table_in)
    return {path.stem: table for path, table in tables.items() if table is not None}


def table_in(file: Path) -> Table | None:
    """Returns the table in a JSON file; None if images are among its cells.

    Raises:
        MlrunError: it is no table, or not the one that its name says.
    """
    table = read_table(file.read_text(encoding="utf-8"))
    if table is not None and file.stem == ROBUSTNESS:
        robustness(table)
    return table


def read_pictures(artifacts: Artifacts, most_epochs: int | None) -> dict[str, dict[int, Path]]:
    """Returns the pictures under a slider, PNG files, by key and epoch in ascending order.

    The keys come in the order in which the run drew them, as far as it logged that.
    """
    order = artifacts.run.tags.get(ORDER_TAG, "").split(",")
    by_key: dict[str, dict[int, PurePosixPath]] = {}
    for path in artifacts.listed("images", ".png"):
        key_and_epoch = key_and_step(path.name)
        if key_and_epoch is not None:
            key, epoch = key_and_epoch
            by_key.setdefault(key, {})[epoch] = path
    shown = {
        key: {epoch: paths[epoch] for epoch in spread(sorted(paths), most_epochs or len(paths))}
        for key, paths in sorted(by_key.items(), key=lambda item: place_in(order, item[0]))
    }
    wanted = (path for paths in shown.values() for path in paths.values())
    files = artifacts.read(wanted, picture_in)
    pictures = {
        key: {epoch: files[path] for epoch, path in paths.items() if path in files}
        for key, paths in shown.items()
    }
    return {key: by_epoch for key, by_epoch in pictures.items() if by_epoch}


def place_in(order: Sequence[str], key: str) -> tuple[int, str]:
    """Returns what a key is sorted by: the keys of `order` in its order, then others by name."""
    return (order.index(key) if key in order else len(order), key)


def read_figures(artifacts: Artifacts) -> dict[str, Path]:
    """Returns the final figures, PNG files, by name."""
    files = artifacts.read(artifacts.listed("figures", ".png"), picture_in)
    return {path.stem: file for path, file in files.items()}


def read_predictions(artifacts: Artifacts, paths: Sequence[PurePosixPath]) -> Predictions | None:
    """Returns the predictions of the best weights for the test part, or else the validation part.

    None of a run that logged neither, or whose predictions cannot be read.

    Args:
        artifacts: of the run.
        paths: of those of its evaluations.
    """
    for part in ("test", "val"):
        path = PurePosixPath(predictions_file(part))
        if path in paths:
            return artifacts.read([path], partial(predictions_in, part=part)).get(path)
    return None


def predictions_in(file: Path, *, part: str) -> Predictions:
    """Returns the predictions for a part in an `.npz` file; raises MlrunError."""
    return Predictions.of_archive(part, arrays_in(file, Predictions.ARRAYS))


def read_thumbnails(
    artifacts: Artifacts, paths: Sequence[PurePosixPath], predictions: Predictions | None
) -> Thumbnails | None:
    """Returns small copies of the images that were predicted; None of a run that kept none."""
    if predictions is None:
        return None
    path = PurePosixPath(thumbnails_file(predictions.part))
    reader = partial(thumbnails_in, tested=len(predictions.labels))
    return artifacts.read([path] if path in paths else [], reader).get(path)


def thumbnails_in(file: Path, *, tested: int) -> Thumbnails:
    """Returns the small copies in an `.npz` file; raises MlrunError."""
    return of_archive(arrays_in(file, ("places", "images")), tested)
