"""What a run that ended left to go on from: here in its folder, or in MLflow."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from mlrun.errors import MlrunError, one_line
from mlrun.finished.state_form import check_form
from mlrun.inside.kept import file_name
from mlrun.preparing.prepared import Prepared
from mlrun.record.folders import run_folder
from mlrun.record.logged import LoggedRun
from mlrun.record.lookup import answering
from mlrun.record.pictures import PNG_END, grid_stem
from mlrun.record.saved import FOLDER
from mlrun.training.checkpoint_files import LAST, WEIGHTS, weights_file
from mlrun.training.checkpoints import read_weights
from mlrun.training.state_files import last_state, read_state

Warn = Callable[[str], None]


def saved_state(run: LoggedRun, warn: Warn) -> dict[str, Any] | None:
    """Returns the last state of a run's training, from its folder here, else from MLflow.

    What is damaged is named, and the state before it taken. None where there is none.
    """
    state = last_state(run_folder(run.run_id), warn, read_whole)
    return state if state is not None else logged_state(run, warn)


def logged_state(run: LoggedRun, warn: Warn) -> dict[str, Any] | None:
    """Returns the last state of a run's training that MLflow has."""
    name = f"{FOLDER}/{LAST}"
    if name not in listed(run, FOLDER):
        return None
    with tempfile.TemporaryDirectory() as folder:
        try:
            file = run.download(name, Path(folder))
            return read_whole(file)
        except MlrunError as error:
            warn(str(error).replace(f"{folder}/{LAST}", f"{name} of run {run.run_id} in MLflow"))
            return None


def read_whole(path: Path) -> dict[str, Any]:
    """Returns a saved state that has all that a run goes on from.

    Raises:
        MlrunError: it is not as it was written, or lacks something.
    """
    content = read_state(path)
    try:
        check_form(content)
    except MlrunError as error:
        raise MlrunError(f"the state {path} is none that a run saves ({error})") from None
    return content


def fetch(run: LoggedRun, state: Mapping[str, Any], warn: Warn) -> None:
    """Puts into a run's folder what its state names and is only in MLflow; else it is named.

    Weights that are not as they were written are none.
    """
    folder, lost = run_folder(run.run_id), []
    in_mlflow: dict[str, frozenset[str]] = {}
    for name in files_of(run, state):
        path = PurePosixPath(name)
        target = folder / (path.name if path.parent.name == FOLDER else name)
        if is_whole(target):
            continue
        target.unlink(missing_ok=True)
        parent = str(path.parent)
        if parent not in in_mlflow:
            in_mlflow[parent] = listed(run, parent)
        if name in in_mlflow[parent]:
            with suppress(MlrunError):
                take(run, name, target)
        if not is_whole(target):
            target.unlink(missing_ok=True)
            lost.append(name)
    if lost:
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        warn(f"neither here nor in MLflow as it was written: {lost[0]}{more}")


def listed(run: LoggedRun, folder: str) -> frozenset[str]:
    """Returns the paths of a run's artifacts in a folder of them; none where it has none."""
    with answering():
        return frozenset(file.path for file in run.client.list_artifacts(run.run_id, folder))


def is_whole(file: Path) -> bool:
    """Whether a file of a run's folder is there; of weights, whether they are as written."""
    if not file.is_file():
        return False
    if WEIGHTS.fullmatch(file.name):
        try:
            read_weights(file)
        except Exception:  # what torch raises for a damaged file, of many kinds
            return False
    return True


def take(run: LoggedRun, name: str, target: Path) -> None:
    """Downloads an artifact of a run to `target`; raises MlrunError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        run.download(name, Path(folder)).replace(target)


def files_of(run: LoggedRun, state: Mapping[str, Any]) -> Iterator[str]:
    """Yields the artifacts that a state names: weights, pictures, values."""
    callbacks = state["callbacks"]
    for _, epoch in ranking_of(state):
        yield weights_of(epoch)
    drawn = callbacks.get("DrawPictures")
    if drawn:
        for key, epochs in drawn["pictures"]["epochs"].items():
            for epoch in epochs:
                yield f"{grid_stem(run.run_id, key, epoch, run.started)}{PNG_END}"
        kept = {epoch for one in drawn["kept"].values() for epoch in one["values"]}
        yield from (f"values/{file_name(epoch)}" for epoch in sorted(kept))


def ranking_of(state: Mapping[str, Any]) -> list[tuple[float, int]]:
    """Returns (value, epoch) of the best epochs of a state, the best first."""
    return [(value, epoch) for value, epoch in state["callbacks"]["SaveWeights"]["ranking"]]


def weights_of(epoch: int) -> str:
    """Returns the artifact with the weights of an epoch."""
    return f"{FOLDER}/{weights_file(epoch)}"


def restore(run: LoggedRun, prepared: Prepared, saved: Mapping[str, Any]) -> None:
    """Puts a saved state into the training; raises MlrunError if it does not fit."""
    try:
        prepared.state.load_state_dict(dict(saved))
    except Exception as error:
        raise MlrunError(
            f"run {run.run_id}: its state does not fit what its settings make here, which has "
            f"changed since ({one_line(error)})"
        ) from error


def place_of(prepared: Prepared) -> str:
    """Returns where the training stands, in words."""
    state = prepared.state
    done = f"epoch {state.epoch}" if not state.tally.sizes else f"within epoch {state.epoch + 1}"
    return f"{done}, step {state.step:,}"


def parts_of(run: LoggedRun) -> dict[str, str]:
    """Returns the digest of each part of a run's data set, by `train`, `val`, `test`."""
    return {name.rpartition("/")[2]: digest for name, digest in run.data_sets().items()}
