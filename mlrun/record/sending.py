"""Sends events of one run to MLflow; sending some again changes nothing there."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from mlflow import MlflowClient
from mlflow.entities import (
    Dataset,
    DatasetInput,
    Experiment,
    InputTag,
    LoggedModelOutput,
    LoggedModelStatus,
    Metric,
    Param,
    Run,
    RunTag,
)
from mlflow.exceptions import MlflowException

from mlrun.errors import encodable
from mlrun.record import appearance
from mlrun.record.abreast import Abreast
from mlrun.record.colours import give_colour
from mlrun.record.events import Event, Kind, LoggedData
from mlrun.record.folders import write_whole
from mlrun.record.outbox import Send

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

AT_ONCE: dict[Kind, int] = {  # MLflow's limits of a request; files go one by one
    "metric": 1000,
    "param": 100,
    "tag": 100,
    "input": 100,
    "look": 1,
    "artifact": 1,
    "removal": 1,
    "model": 1,
    "view": 1,
    "end": 1,
}
REJECTED = {"INVALID_PARAMETER_VALUE", "BAD_REQUEST"}
OF_SQL = "sqlalche.me"  # in what SQLAlchemy says of any error, which MLflow calls a bad request
OF_VALUE = re.compile(  # the classes of errors that a value is the cause of, and not the database
    r"\([\w.]*(DataError|IntegrityError|Violation|Truncation|OutOfRange|Representation"
    r"|Repertoire|UntranslatableCharacter)\)"
)
LAUNCH_TAGS = ("mlflow.user", "mlflow.source.name", "mlflow.source.type")  # of a run and its model


class Sender:
    """Sends one run's events through a client; see `events.Event` for their kinds.

    Args:
        client: of the store.
        run: as MLflow gives it.
        has_view: whether the run's experiment has a view of ours.

    Attributes:
        has_view: whether it has one now.
    """

    def __init__(self, client: MlflowClient, run: Run, *, has_view: bool = False) -> None:
        self._client, self._run, self.has_view = client, run, has_view
        self._run_id, self._experiment_id = run.info.run_id, run.info.experiment_id

    def by_kind(self) -> Mapping[Kind, Send]:
        """Returns what sends the events of each kind, those of the end last."""
        return {
            "metric": self.send_metrics,
            "param": self.send_params,
            "tag": self.send_tags,
            "input": self.send_inputs,
            "look": self.send_look,
            "artifact": self.send_artifact,
            "removal": self.send_removal,
            "model": self.send_model,
            "view": self.send_view,
            "end": self.send_end,
        }

    def send_metrics(self, events: list[Event]) -> None:
        """Logs metrics."""
        rows = [Metric(e.name, float(e.value), e.timestamp, e.step) for e in events]  # type: ignore[arg-type]  # a metric's value is a number
        self._client.log_batch(self._run_id, metrics=rows)

    def send_params(self, events: list[Event]) -> None:
        """Logs params."""
        self._client.log_batch(self._run_id, params=[Param(e.name, str(e.value)) for e in events])

    def send_tags(self, events: list[Event]) -> None:
        """Sets tags; of several values of one it is the last."""
        tags = {event.name: str(event.value) for event in events}
        self._client.log_batch(self._run_id, tags=[RunTag(*tag) for tag in tags.items()])

    def send_inputs(self, events: list[Event]) -> None:
        """Logs parts of the data set."""
        parts = [event.value for event in events if isinstance(event.value, LoggedData)]
        self._client.log_inputs(self._run_id, datasets=[as_input(part) for part in parts])

    def send_look(self, events: list[Event]) -> None:
        """Gives the run a colour."""
        uri = self._client.tracking_uri
        give_colour(self._client, uri, self._experiment_id, self._run_id)

    def send_artifact(self, events: list[Event]) -> None:
        """Logs a file."""
        (event,) = events
        parent = str(PurePosixPath(event.name).parent)
        self._files.log_artifact(str(event.value), None if parent == "." else parent)

    def send_removal(self, events: list[Event]) -> None:
        """Removes an artifact, if it is there."""
        (event,) = events
        parent = str(PurePosixPath(event.name).parent)
        if event.name in {item.path for item in self._files.list_artifacts(parent)}:
            self._files.delete_artifacts(event.name)

    def send_view(self, events: list[Event]) -> None:
        """Puts pictures first on the experiment's chart page."""
        (event,) = events
        before = view_of(self._client, self._experiment_id)
        after = appearance.with_keys(before, json.loads(str(event.value)), event.step)
        self._client.set_experiment_tag(self._experiment_id, appearance.VIEW_TAG, after)
        self.has_view = True

    def send_model(self, events: list[Event]) -> None:
        """Logs a saved servable model, unless the run has it."""
        (event,) = events
        folder = Path(str(event.value))
        model = self._own_model(event.name)
        if model.status == LoggedModelStatus.READY:
            return
        address_model(folder, model, self._run_id)
        send_files(self._files_at(model.artifact_location), folder)
        self._client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)

    def send_end(self, events: list[Event]) -> None:
        """Ends the run with its status, as of the event's time."""
        (event,) = events
        self._client.set_terminated(self._run_id, str(event.value), event.timestamp)

    @cached_property
    def _files(self) -> ArtifactRepository:
        """The run's artifacts; a client would ask the store anew where they are."""
        return self._files_at(self._run.info.artifact_uri)

    def _files_at(self, place: str) -> ArtifactRepository:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        return get_artifact_repository(place, tracking_uri=self._client.tracking_uri)

    def _own_model(self, name: str) -> LoggedModel:
        """Returns the run's model of that name, made if need be."""
        models = self._client.search_logged_models(
            [self._experiment_id], f"source_run_id = '{self._run_id}' AND name = '{name}'"
        )
        if models:
            return models[0]
        run = self._client.get_run(self._run_id)
        model = self._client.create_logged_model(
            self._experiment_id,
            name,
            self._run_id,
            tags={key: run.data.tags[key] for key in LAUNCH_TAGS if key in run.data.tags},
            params=run.data.params,
        )
        self._client.log_outputs(self._run_id, [LoggedModelOutput(model.model_id, step=0)])
        return model


def send_files(repository: ArtifactRepository, folder: Path) -> None:
    """Logs the files of a folder side by side; raises the first error."""
    errors: list[Exception] = []

    def send(file: Path) -> None:
        parent = file.relative_to(folder).parent.as_posix()
        try:
            repository.log_artifact(str(file), None if parent == "." else parent)
        except Exception as error:
            errors.append(error)

    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    Abreast([partial(send, file) for file in files]).finish()
    if errors:
        raise errors[0]


def address_model(folder: Path, model: LoggedModel, run_id: str) -> None:
    """Writes into a saved model's description which model of MLflow's it is.

    The description is replaced as a whole: there is no other, should the process be killed.
    """
    from mlflow.models import Model

    description = Model.load(str(folder))
    description.model_id = description.model_uuid = model.model_id
    description.artifact_path, description.run_id = model.artifact_location, run_id
    write_whole(folder / "MLmodel", description.to_yaml().encode())


def as_input(part: LoggedData) -> DatasetInput:
    """Returns a part of a data set as MLflow takes it."""
    dataset = Dataset(
        name=part.name,
        digest=part.digest,
        source_type="local",
        source=json.dumps({"uri": encodable(part.source)}),
        profile=json.dumps(dict(part.profile)),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", part.context)])


def is_refused(error: Exception) -> bool:
    """Whether MLflow rejects a request for good, so that sending it again is useless.

    What ails the database itself passes: it can only be read now, say, or has no connection left.
    """
    if not isinstance(error, MlflowException) or error.error_code not in REJECTED:
        return False
    text = str(error)
    return OF_SQL not in text or OF_VALUE.search(text) is not None


def view_of(client: MlflowClient, experiment_id: str) -> str | None:
    """Returns the view that we keep with the experiment, or None."""
    return view_in(client.get_experiment(experiment_id))


def view_in(experiment: Experiment) -> str | None:
    """Returns the view that we keep with the experiment, as it was when it was read, or None."""
    view: str | None = experiment.tags.get(appearance.VIEW_TAG)
    return view
