"""What is saved of a run's training: in its folder here, and among its artifacts in MLflow."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient

from mlrun.record.folders import run_folder
from mlrun.record.ledger import recorded
from mlrun.record.noise import quiet
from mlrun.settings import Settings
from mlrun.training.checkpoint_files import LAST, STATES, WEIGHTS, rank, weights_file

FOLDER = "checkpoints"  # of the artifacts


@dataclass(frozen=True)
class SavedWeights:
    """The weights of one epoch: a file here, or where that is None an artifact in MLflow."""

    epoch: int
    file: Path | None = None

    @property
    def artifact(self) -> str:
        """Its path in the run."""
        return f"{FOLDER}/{weights_file(self.epoch)}"


def has_state(folder: Path) -> bool:
    """Whether a run's folder has a state that its training can go on from."""
    return any((folder / name).is_file() for name in STATES)


def can_resume(client: MlflowClient, run_id: str) -> bool:
    """Whether a state that the training can go on from is here or in MLflow."""
    return has_state(run_folder(run_id)) or LAST in stored(client, run_id)


def stored(client: MlflowClient, run_id: str) -> list[str]:
    """Returns the names of a run's checkpoints in MLflow; none where they cannot be listed."""
    try:
        with quiet():
            artifacts = client.list_artifacts(run_id, FOLDER)
    except Exception:  # MLflow's own, and those of each store that it reads from
        return []
    return [artifact.path.rpartition("/")[2] for artifact in artifacts]


def best_epoch_of(tags: Mapping[str, str]) -> int | None:
    """Returns the epoch of a run's best weights; None where its tag is not there, or no number."""
    text = tags.get("mlrun.best_epoch", "")
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else None


def best_saved(client: MlflowClient, run_id: str, params: Mapping[str, str]) -> SavedWeights | None:
    """Returns the best weights that are saved of a run whose process is gone; None without any.

    Those in its folder here are at least as good as those that MLflow has.

    Args:
        client: of the store, which answers.
        run_id: of the run.
        params: of the run, as far as MLflow has them.
    """
    folder, monitor = run_folder(run_id), monitor_of(run_id, params)
    files = weights_in(folder.glob("*.pt"))
    epochs = [*(files or weights_in(map(Path, stored(client, run_id))))]
    values = monitored(client, run_id, monitor)
    known = [epoch for epoch in epochs if epoch in values]
    if not epochs:
        return None
    best = min(known, key=lambda e: rank(monitor, values[e], e)) if known else max(epochs)
    return SavedWeights(best, files.get(best))


def weights_in(files: Iterable[Path]) -> dict[int, Path]:
    """Returns those of the files that are the weights of an epoch, by that.

    >>> list(weights_in([Path("epoch-12.pt"), Path("last.pt")]))
    [12]
    """
    matches = {path: WEIGHTS.fullmatch(path.name) for path in files}
    return {int(match[1]): path for path, match in matches.items() if match}


def monitor_of(run_id: str, params: Mapping[str, str]) -> str:
    """Returns the metric that says which epoch of a run is the best: its param, sent or not."""
    name = "monitor"
    unsent = [str(record["value"]) for record in recorded(run_folder(run_id), "param", name)]
    default: str = Settings.model_fields[name].default
    return params.get(name) or (unsent or [default])[-1]


def monitored(client: MlflowClient, run_id: str, monitor: str) -> Mapping[int, float]:
    """Returns a metric by epoch: what MLflow has of it, and what the journal here says."""
    values = {entry.step: entry.value for entry in client.get_metric_history(run_id, monitor)}
    records = recorded(run_folder(run_id), "metric", monitor)
    return values | {record.get("step", 0): float(record["value"]) for record in records}
