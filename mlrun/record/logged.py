"""Logged runs: read back from MLflow, and added to."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from mlflow import MlflowClient
from mlflow.entities import Metric, RunTag

from mlrun.errors import MlrunError, encodable
from mlrun.record import links, store
from mlrun.record.beginning import settings_kept
from mlrun.record.drivers import check_artifacts
from mlrun.record.events import REASON_TAG
from mlrun.record.experiments import check_run
from mlrun.record.families import FAMILY_TAG, children_of, is_parent
from mlrun.record.folders import run_folder
from mlrun.record.ledger import unsent_file
from mlrun.record.lookup import answering, look_up, open_store
from mlrun.record.onward import onward
from mlrun.record.presence import Presence, about, look_after, status_of
from mlrun.record.run_files import Unreadable, add_file, download
from mlrun.record.saved import SavedWeights, best_epoch_of, best_saved, weights_in
from mlrun.settings import Settings
from mlrun.settings.plain_yaml import read_mapping
from mlrun.settings.recalled import Recalled, recall

OURS = "tags.`mlrun.version` != ''"  # MLflow's filter for runs that mlrun made


@dataclass(frozen=True)
class LoggedRun:
    """A run of mlrun, as it is in MLflow.

    status: `FINISHED`, `FAILED`, `KILLED` or `RUNNING`; `lost` or `unsent` of a run whose process
        is gone without that MLflow has its end.
    started, ended: milliseconds since 1970; it has no end while it is running.
    presence: what became of its process; None where MLflow has its end.
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
    presence: Presence | None
    metrics: Mapping[str, float]
    params: Mapping[str, str]
    tags: Mapping[str, str]
    link: str

    @cached_property
    def recalled(self) -> Recalled:
        """The settings of the run, as far as they are understood here; may raise MlrunError."""
        return settings_of(self.client, self.run_id, self.tags)

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
            unreadable = isinstance(error, Unreadable)
            ill = error if unreadable else ill_settings(self.run_id, str(error))
            presence = f"; {self.why_none()}" if self.presence is not None else ""
            raise MlrunError(f"{ill}{presence}") from None

    def data_sets(self) -> dict[str, str]:
        """Returns the digest of each part of the run's data set, by name; raises MlrunError."""
        with answering():
            inputs = self.client.get_run(self.run_id).inputs.dataset_inputs
        return {each.dataset.name: each.dataset.digest for each in inputs}

    def download(self, path: str, folder: Path) -> Path:
        """Downloads the artifact `path` into `folder`, returns its file; raises MlrunError."""
        return download(self.client, self.run_id, path, folder)

    def best_weights(self, folder: Path) -> Path:
        """Returns the file of the best weights: downloaded into `folder`, or in the run's own.

        Raises:
            MlrunError: the run has no checkpoints, or the download fails.
        """
        if self.weights is None:
            raise MlrunError(f"run {self.run_id} has no checkpoints ({self.why_none()})")
        return self.weights.file or self.download(self.weights.artifact, folder)

    @cached_property
    def weights(self) -> SavedWeights | None:
        """The best weights that can be had; None without any.

        Where the process is gone, or the run did not come to its end, they are looked for.
        """
        tagged = best_epoch_of(self.tags)
        known = None if tagged is None else SavedWeights(tagged)
        lasts = self.presence is not None and not self.presence.is_gone
        if self.status == "FINISHED" or lasts:
            return known
        if self.presence is None and known and not weights_in(run_folder(self.run_id).glob("*.pt")):
            return known
        with answering():
            saved = best_saved(self.client, self.run_id, self.params)
        if self.presence is None and (saved is None or saved.epoch == tagged):
            return known
        return saved or known

    @property
    def best_epoch(self) -> int | None:
        """The epoch of the best weights; None without any."""
        return None if self.weights is None else self.weights.epoch

    @property
    def about_weights(self) -> str:
        """What the user is to know of the best weights; empty where they are as MLflow says."""
        if self.weights is None or (self.presence is None and self.weights.file is None):
            return ""
        place = "MLflow has" if self.weights.file is None else "its folder on this machine has"
        note = f"its weights of epoch {self.weights.epoch} are used, the best that {place}"
        if self.presence is None:
            return f"run {self.run_id} is {self.status}: {note}"
        if not self.presence.is_gone:
            return ""
        return f"run {self.run_id}: {self.why_none()}; {note}"

    def why_none(self) -> str:
        """Returns why the run has no checkpoints."""
        if self.presence is not None:
            return about(self.client, self.run_id, self.tags, self.presence)
        on = ""
        if self.status in ("FAILED", "KILLED"):
            on = f"; {onward(self.client, self.run_id, self.tags)}"
        return {
            "RUNNING": "it is still running",
            "FAILED": f"it failed: {self.tags.get(REASON_TAG, 'no reason is known')}{on}",
            "KILLED": f"it was killed before its first epoch was done{on}",
            "FINISHED": "its tag mlrun.best_epoch names no epoch",
        }.get(self.status, "it is not finished")

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
            not make it; or it is the parent of others, which trained nothing itself.
    """
    run = find_any_run(reference)
    if not is_parent(run.tags):
        return run
    with answering():
        children = children_of(run.client, run.client.get_run(run.run_id))
    ids = ", ".join(child.info.run_id for child in children)
    raise MlrunError(
        f"run {run.run_id} is the parent of {len(children)} runs ({run.tags[FAMILY_TAG]}) and has "
        f"no weights of its own; give one of them: {ids or 'there is none yet'}"
    )


def find_any_run(reference: str) -> LoggedRun:
    """Returns what `find_run` does, and the parent of others too; raises the same but for that."""
    client = open_store()
    run = look_up(client, reference)
    run_id = run.info.run_id
    with answering():
        check_run(client, run)
        run, presence = look_after(client, run)
    if "mlrun.version" not in run.data.tags:
        raise MlrunError(f"run {run_id} was not made by mlrun; give one that mlrun runs lists")
    check_artifacts(run.info.artifact_uri)
    tags = run.data.tags
    return LoggedRun(
        client=client,
        run_id=run_id,
        name=run.info.run_name or run_id[:8],
        status=status_of(run, presence),
        started=run.info.start_time or 0,
        ended=run.info.end_time,
        experiment_id=run.info.experiment_id,
        presence=presence,
        metrics=run.data.metrics,
        params=run.data.params,
        tags=tags,
        link=links.run_link(links.ui_base(store.address()), run.info.experiment_id, run_id),
    )


def settings_of(client: MlflowClient, run_id: str, tags: Mapping[str, str]) -> Recalled:
    """Returns the settings of a run; where the store lacks them, those kept on this machine."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            path = download(client, run_id, "settings.yaml", Path(folder))
        except MlrunError:
            kept = unsent_file(run_folder(run_id), "settings.yaml") or settings_kept(tags)
            if kept is None:
                raise
            path = kept
        try:
            return recall(read_mapping(path))
        except MlrunError as error:
            raise ill_settings(run_id, str(error)) from None


def ill_settings(run_id: str, reason: str) -> Unreadable:
    """Returns the error for settings of a run that cannot be read, or not be understood."""
    return Unreadable(f"run {run_id}: its settings.yaml: {reason}", reason)
