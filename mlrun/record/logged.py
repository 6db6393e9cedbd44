"""Logged runs: read back from MLflow, and added to."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from mlflow import MlflowClient
from mlflow.entities import Metric, RunTag

from mlrun.errors import MlrunError, encodable, one_line
from mlrun.record import store
from mlrun.record.drivers import check_artifacts
from mlrun.record.experiments import check_run
from mlrun.record.lookup import answering, look_up, open_store
from mlrun.record.noise import quiet
from mlrun.settings import Settings
from mlrun.settings.plain_yaml import read_mapping
from mlrun.settings.recalled import Recalled, recall

OURS = "tags.`mlrun.version` != ''"  # MLflow's filter for runs that mlrun made


@dataclass(frozen=True)
class LoggedRun:
    """A run of mlrun, as it is in MLflow.

    status: `FINISHED`, `FAILED`, `KILLED` or `RUNNING`.
    started, ended: milliseconds since 1970; it has no end while it is running.
    best_epoch: the epoch of its best weights; None where it has none.
    metrics: the last logged value of each.
    params, tags: as they are in MLflow.
    link: its page in MLflow's UI.
    """

    client: MlflowClient
    run_id: str
    name: str
    status: str
    started: int
    ended: int | None
    experiment_id: str
    best_epoch: int | None
    metrics: Mapping[str, float]
    params: Mapping[str, str]
    tags: Mapping[str, str]
    link: str

    @cached_property
    def recalled(self) -> Recalled:
        """The settings of the run, as far as they are understood here; may raise MlrunError."""
        return settings_of(self.client, self.run_id)

    def settings(self, *needed: str) -> Settings:
        """Returns the settings of the run, of which those named are as the run had them.

        In place of others that this version does not understand are the defaults.

        Raises:
            MlrunError: its settings.yaml cannot be had or read, or one of those named is not
                there or not understood.
        """
        try:
            return self.recalled.understood(*needed)
        except MlrunError as error:
            raise ill_settings(self.run_id, error) from None

    def download(self, path: str, folder: Path) -> Path:
        """Downloads the artifact `path` into `folder`, returns its file; raises MlrunError."""
        return download(self.client, self.run_id, path, folder)

    def best_weights(self, folder: Path) -> Path:
        """Returns the checkpoint of the best epoch, downloaded into `folder`.

        Raises:
            MlrunError: the run has no checkpoints, or the download fails.
        """
        if self.best_epoch is None:
            reason = {
                "RUNNING": "it is still running",
                "FAILED": f"it failed: {self.tags.get('mlrun.reason', 'no reason is known')}",
                "KILLED": "it was killed before its first epoch was done",
                "FINISHED": "its tag mlrun.best_epoch names no epoch",
            }.get(self.status, "it is not finished")
            raise MlrunError(f"run {self.run_id} has no checkpoints ({reason})")
        return self.download(f"checkpoints/epoch-{self.best_epoch}.pt", folder)

    def metric(self, name: str, step: int | None) -> float | None:
        """Returns the value of a metric at `step`, or None; the last logged of several."""
        with answering():
            history = self.client.get_metric_history(self.run_id, name)
        values = [entry for entry in history if entry.step == step]
        value: float | None = max(values, key=lambda e: e.timestamp).value if values else None
        return value

    def add(
        self,
        metrics: Mapping[str, float],
        *,
        step: int,
        tags: Mapping[str, str],
        files: Mapping[str, bytes],
    ) -> None:
        """Logs files, by their path in the run, then all metrics and tags in one request.

        Raises:
            MlrunError: the store rejects them or does not answer.
        """
        now = time.time_ns() // 1_000_000
        with answering():
            for name, content in files.items():
                add_file(self.client, self.run_id, PurePosixPath(name), content)
            self.client.log_batch(
                self.run_id,
                metrics=[Metric(name, value, now, step) for name, value in metrics.items()],
                tags=[RunTag(name, encodable(text)) for name, text in tags.items()],
            )


def find_run(reference: str) -> LoggedRun:
    """Returns the run whose id is `reference`, or starts with it.

    Raises:
        MlrunError: the store does not answer, has no such run or several, or mlrun did
            not make it.
    """
    client = open_store()
    run = look_up(client, reference)
    run_id = run.info.run_id
    with answering():
        check_run(client, run)
    if "mlrun.version" not in run.data.tags:
        raise MlrunError(f"run {run_id} was not made by mlrun; give one that mlrun runs lists")
    check_artifacts(run.info.artifact_uri)
    tags = run.data.tags
    return LoggedRun(
        client=client,
        run_id=run_id,
        name=run.info.run_name or run_id[:8],
        status=tags.get("mlrun.status", run.info.status),
        started=run.info.start_time or 0,
        ended=run.info.end_time,
        experiment_id=run.info.experiment_id,
        best_epoch=best_epoch_of(tags),
        metrics=run.data.metrics,
        params=run.data.params,
        tags=tags,
        link=store.run_link(store.ui_base(store.address()), run.info.experiment_id, run_id),
    )


def best_epoch_of(tags: Mapping[str, str]) -> int | None:
    """Returns the epoch of a run's best weights; None where its tag is not there, or no number."""
    text = tags.get("mlrun.best_epoch", "")
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else None


def settings_of(client: MlflowClient, run_id: str) -> Recalled:
    """Returns the settings of a run."""
    with tempfile.TemporaryDirectory() as folder:
        path = download(client, run_id, "settings.yaml", Path(folder))
        try:
            return recall(read_mapping(path))
        except MlrunError as error:
            raise ill_settings(run_id, error) from None


def ill_settings(run_id: str, error: MlrunError) -> MlrunError:
    """Returns the error for settings of a run that cannot be read; `error` may name the run."""
    message = str(error)
    start = f"run {run_id}: "
    return MlrunError(
        message if message.startswith(start) else f"{start}its settings.yaml: {message}"
    )


def download(client: MlflowClient, run_id: str, path: str, folder: Path) -> Path:
    """Downloads an artifact of a run into `folder`, returns its file; raises MlrunError."""
    try:
        with quiet():
            return Path(client.download_artifacts(run_id, path, str(folder)))
    except Exception as error:
        raise MlrunError(
            f"run {run_id}: its artifact {path} cannot be had ({one_line(error)})"
        ) from None


def add_file(client: MlflowClient, run_id: str, path: PurePosixPath, content: bytes) -> None:
    """Logs `content` as the artifact `path`."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, path.name)
        file.write_bytes(content)
        client.log_artifact(run_id, str(file), None if path.parent.name == "" else str(path.parent))
