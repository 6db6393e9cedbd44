"""A run read back from MLflow: its metrics, pictures, tables and predictions, for a page."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mlrun.errors import MlrunError, one_line
from mlrun.pages.account import Account, Thumbnails
from mlrun.record.evaluations import FOLDER, evaluation_tag, predictions_file, thumbnails_file
from mlrun.record.failures import failures_of
from mlrun.record.logged import LoggedRun
from mlrun.record.lookup import answering
from mlrun.record.pictures import ORDER_TAG, key_and_step
from mlrun.record.tables import Table, read_table
from mlrun.training.predictions import Predictions

T = TypeVar("T")
AT_ONCE = 8  # downloads that wait for the store side by side
MOST_STEPS = 2000  # points of a curve by optimiser step: more than a screen has columns


def read_account(
    run: LoggedRun, folder: Path, *, most_epochs: int | None = None, steps: bool = True
) -> Account:
    """Returns all that a page shows of a run, in any state; what MLflow does not have is empty.

    Args:
        run: one that ended in any way, or is still running.
        folder: takes the pictures and figures, in a folder of the run's own, and must stay
            while the account is used.
        most_epochs: so many pictures of each key at most, evenly spread, the first and the last
            among them; None for all.
        steps: whether to read the curves by optimiser step, which may take seconds each.

    Raises:
        MlrunError: the store does not answer, or a file of the run cannot be had or read.
    """
    place = folder / run.run_id
    place.mkdir(parents=True, exist_ok=True)
    tables = read_tables(run, place)
    predictions = read_predictions(run, place)
    part = "" if predictions is None else predictions.part
    return Account(
        run_id=run.run_id,
        name=run.name,
        link=run.link,
        status=run.status,
        started=run.started,
        seconds=None if run.ended is None else (run.ended - run.started) / 1000,
        best_epoch=run.best_epoch,
        params=run.params,
        tags=run.tags,
        history=read_history(run, steps=steps),
        classes=tuple(str(name) for name in tables.get("per-class", {}).get("class", ())),
        predictions=predictions,
        evaluated_on=run.tags.get(evaluation_tag(part), ""),
        thumbnails=read_thumbnails(run, part, place) if part else None,
        pictures=read_pictures(run, place, most_epochs),
        figures=read_figures(run, place),
        tables=tables,
        failures=failures_of(run.tags),
    )


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


def read_tables(run: LoggedRun, folder: Path) -> dict[str, Table]:
    """Returns the tables of the run by name, but for those with images."""
    paths = [path for path in files_in(run, "tables") if path.suffix == ".json"]
    tables = {}
    for path, file in fetch(run, paths, folder).items():
        try:
            table = read_table(file.read_text(encoding="utf-8"))
        except (MlrunError, UnicodeDecodeError) as error:
            raise unreadable(run, path, error) from None
        if table is not None:
            tables[path.stem] = table
    return tables


def read_pictures(
    run: LoggedRun, folder: Path, most_epochs: int | None
) -> dict[str, dict[int, Path]]:
    """Returns the pictures under a slider, PNG files, by key and epoch in ascending order.

    The keys come in the order in which the run drew them, as far as it logged that.
    """
    order = run.tags.get(ORDER_TAG, "").split(",")
    by_key: dict[str, dict[int, PurePosixPath]] = {}
    for path in files_in(run, "images"):
        key_and_epoch = key_and_step(path.name)
        if key_and_epoch is not None:
            key, epoch = key_and_epoch
            by_key.setdefault(key, {})[epoch] = path
    epochs = {
        key: spread(sorted(paths), most_epochs or len(paths)) for key, paths in by_key.items()
    }
    files = fetch(run, (by_key[key][epoch] for key in epochs for epoch in epochs[key]), folder)
    return {
        key: {epoch: files[by_key[key][epoch]] for epoch in epochs[key]}
        for key in sorted(epochs, key=lambda key: place_in(order, key))
    }


def place_in(order: Sequence[str], key: str) -> tuple[int, str]:
    """Returns what a key is sorted by: the keys of `order` in its order, then others by name."""
    return (order.index(key) if key in order else len(order), key)


def read_figures(run: LoggedRun, folder: Path) -> dict[str, Path]:
    """Returns the final figures, PNG files, by name."""
    paths = [path for path in files_in(run, "figures") if path.suffix == ".png"]
    return {path.stem: file for path, file in fetch(run, paths, folder).items()}


def read_predictions(run: LoggedRun, folder: Path) -> Predictions | None:
    """Returns the predictions of the best weights for the test part, or else the validation part.

    None of a run that logged neither.
    """
    artifacts = files_in(run, FOLDER)
    for part in ("test", "val"):
        path = PurePosixPath(predictions_file(part))
        if path in artifacts:
            arrays = read_arrays(run, path, folder)
            try:
                return Predictions.of_archive(part, arrays)
            except KeyError as error:
                raise unreadable(run, path, error) from None
    return None


def read_thumbnails(run: LoggedRun, part: str, folder: Path) -> Thumbnails | None:
    """Returns small copies of the images of a part; None of a run that kept none."""
    path = PurePosixPath(thumbnails_file(part))
    if path not in files_in(run, FOLDER):
        return None
    arrays = read_arrays(run, path, folder)
    try:
        return Thumbnails(arrays["places"], arrays["images"])
    except KeyError as error:
        raise unreadable(run, path, error) from None


def read_arrays(run: LoggedRun, path: PurePosixPath, folder: Path) -> dict[str, NDArray[Any]]:
    """Returns the arrays of an `.npz` artifact by name; raises MlrunError."""
    (file,) = fetch(run, [path], folder).values()
    try:
        with np.load(file) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise unreadable(run, path, error) from None


def unreadable(run: LoggedRun, path: PurePosixPath, error: Exception) -> MlrunError:
    """Returns the error for an artifact of the run that cannot be read."""
    return MlrunError(f"run {run.run_id}: its artifact {path} cannot be read ({one_line(error)})")


def files_in(run: LoggedRun, folder: str) -> list[PurePosixPath]:
    """Returns the paths of the run's artifacts in `folder`; none if there is no such folder."""
    with answering():
        artifacts = run.client.list_artifacts(run.run_id, folder)
    return [PurePosixPath(artifact.path) for artifact in artifacts if not artifact.is_dir]


def fetch(
    run: LoggedRun, paths: Iterable[PurePosixPath], folder: Path
) -> dict[PurePosixPath, Path]:
    """Downloads artifacts into `folder`, under their own paths; returns where each lies."""
    artifacts = list(paths)
    for parent in {path.parent for path in artifacts}:  # MLflow puts a file into the folder itself
        (folder / parent).mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        files = pool.map(lambda path: run.download(str(path), folder / path.parent), artifacts)
        return dict(zip(artifacts, files, strict=True))
