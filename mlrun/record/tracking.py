"""Every MLflow call, and nothing else calls MLflow: a run's events, sent by one thread."""

from __future__ import annotations

import getpass
import json
import logging
import os
import queue
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import mlflow
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking.fluent import _get_experiment_id

from mlrun.errors import MlrunError, one_line, redact, unknown
from mlrun.record import appearance, store
from mlrun.record.events import Event

Status = Literal["FINISHED", "FAILED", "KILLED"]
GATHER = 0.5  # seconds: how long events wait for others to share a request
GRACE = 30.0  # seconds: how long a closing run goes on trying a store that fails
AT_ONCE = {"metric": 1000, "param": 100, "tag": 100}  # MLflow's limits of a request
REJECTED = {"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_DOES_NOT_EXIST"}


@dataclass(frozen=True)
class LoggedData:
    """One part of a data set as MLflow shows it among a run's inputs."""

    name: str
    digest: str
    source: str
    context: str
    profile: Mapping[str, object]


class Tracker:
    """One run in MLflow. Events are put in order on a queue; a thread of its own sends them.

    Attributes:
        run_id, experiment_id: the run's place in MLflow.
        given: params that the run had when it was taken over from `mlflow run`.
        lost: events that the store did not take, with the reason.
    """

    def __init__(self, client: MlflowClient, uri: str, run: Any) -> None:
        self.run_id: str = run.info.run_id
        self.experiment_id: str = run.info.experiment_id
        self.run_name: str = run.info.run_name
        self.uri = uri
        self.given = dict(run.data.params)
        self.given_tags = dict(run.data.tags)
        self.lost: list[tuple[Event, str]] = []
        self._client = client
        self._queue: queue.Queue[Event | None] = queue.Queue()
        self._hurry = threading.Event()
        self._deadline: float | None = None
        self._thread = threading.Thread(target=self._consume, name="mlrun-tracking", daemon=True)
        self._thread.start()

    def log(self, event: Event) -> None:
        """Takes one event; it is sent soon, and this never waits."""
        self._queue.put(event)

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Logs each value at `step` (the epoch)."""
        now = time.time_ns() // 1_000_000
        for name, value in values.items():
            self.log(Event("metric", name, value, step, now))

    def params(self, values: Mapping[str, str]) -> None:
        """Logs the params that the run does not have yet; those it has cannot be changed."""
        for name, value in values.items():
            if name not in self.given:
                self.log(Event("param", name, value[:6000]))

    def tags(self, values: Mapping[str, str]) -> None:
        """Sets tags."""
        for name, value in values.items():
            self.log(Event("tag", name, value[:5000]))

    def artifact(self, name: str, content: bytes | str | Path) -> None:
        """Logs a file under the path `name` in the run; a text is written as UTF-8."""
        value = content.encode() if isinstance(content, str) else content
        self.log(Event("artifact", name, value))

    def inputs(self, parts: list[LoggedData]) -> None:
        """Logs the data sets of the run."""
        self._client.log_inputs(
            self.run_id,
            datasets=[
                DatasetInput(
                    Dataset(
                        name=part.name,
                        digest=part.digest,
                        source_type="local",
                        source=json.dumps({"uri": part.source}),
                        profile=json.dumps(dict(part.profile)),
                    ),
                    [InputTag("mlflow.data.context", part.context)],
                )
                for part in parts
            ],
        )

    def model(self, module: Any, example: Any, output: Any, requirements: list[str]) -> None:
        """Logs `module` as the run's servable model (pt2), once.

        Args:
            module: a torch module in evaluation mode on the CPU.
            example: float32 (2, C, H, W), a batch as it is sent to the server.
            output: float32 (2, K), what the module makes of it.
            requirements: what pip must install to serve it.
        """
        import numpy as np
        from mlflow.models import Model, ModelSignature
        from mlflow.types import Schema, TensorSpec

        self.flush()
        signature = ModelSignature(
            Schema([TensorSpec(np.dtype("float32"), (-1, *example.shape[1:]), name=None)]),
            Schema([TensorSpec(np.dtype("float32"), (-1, *output.shape[1:]), name=None)]),
        )
        with quiet():
            Model.log(
                artifact_path=None,
                name="model",
                flavor=mlflow.pytorch,
                run_id=self.run_id,
                pytorch_model=module,
                signature=signature,
                input_example=example,
                pip_requirements=requirements,
                serialization_format="pt2",
            )

    def show(self, keys: Iterable[str], step: int) -> None:
        """Puts the pictures of these keys first on the experiment's chart page, at `step`."""
        if not keys:
            return
        self.flush()
        tag = Event("tag", appearance.VIEW_TAG, "", step)

        def send() -> None:
            before = view_of(self._client, self.experiment_id)
            after = appearance.with_keys(before, keys, step)
            self._client.set_experiment_tag(self.experiment_id, appearance.VIEW_TAG, after)

        self._try(send, [tag])

    def comparison_link(self) -> str:
        """Returns the address of the experiment's chart page."""
        view = view_of(self._client, self.experiment_id) and appearance.VIEW_KEY
        return store.comparison_link(store.ui_base(self.uri), self.experiment_id, view or "")

    def flush(self) -> None:
        """Waits until every event so far is sent, or is lost; from here on, time is short."""
        self._deadline = time.monotonic() + GRACE
        self._hurry.set()
        self._queue.join()
        self._hurry.clear()

    def close(self, status: Status) -> None:
        """Sends what is left, ends the run with `status`, and stops the thread.

        Does not raise: what could not be sent is in `lost`.
        """
        self._deadline = time.monotonic() + GRACE
        self._hurry.set()
        self._queue.put(None)
        self._thread.join()
        ending = Event("tag", "mlrun.status", status)
        self._try(lambda: self._client.set_tag(self.run_id, ending.name, status), [ending])
        self._try(lambda: self._client.set_terminated(self.run_id, status), [ending])

    def _consume(self) -> None:
        open_ = True
        while open_:
            events = [self._queue.get()]
            if events[0] is not None:
                self._hurry.wait(GATHER)
            with suppress(queue.Empty):
                while True:
                    events.append(self._queue.get_nowait())
            open_ = None not in events
            self._send([event for event in events if event is not None])
            for _ in events:
                self._queue.task_done()

    def _send(self, events: list[Event]) -> None:
        small = {"metric": self._log_metrics, "param": self._log_params, "tag": self._log_tags}
        for kind, call in small.items():
            of_kind = [event for event in events if event.kind == kind]
            size = AT_ONCE[kind]
            for some in (of_kind[i : i + size] for i in range(0, len(of_kind), size)):
                self._try(lambda call=call, some=some: call(some), some)
        for event in events:
            if event.kind == "artifact":
                self._try(lambda event=event: self._log_artifact(event), [event])

    def _try(self, call: Any, events: list[Event]) -> None:
        """Calls until it works, the store refuses the content, or the closing run's time is up."""
        delay = 0.5
        while True:
            try:
                call()
                return
            except Exception as error:
                refused = isinstance(error, MlflowException) and error.error_code in REJECTED
                late = self._deadline is not None and time.monotonic() + delay > self._deadline
                if refused or late:
                    self.lost += [(event, one_line(error)) for event in events]
                    return
            time.sleep(delay)
            delay = min(2 * delay, 30.0)

    def _log_metrics(self, events: list[Event]) -> None:
        rows = [Metric(e.name, float(e.value), e.timestamp, e.step) for e in events]  # type: ignore[arg-type]  # a metric's value is a number
        self._client.log_batch(self.run_id, metrics=rows)

    def _log_params(self, events: list[Event]) -> None:
        self._client.log_batch(self.run_id, params=[Param(e.name, str(e.value)) for e in events])

    def _log_tags(self, events: list[Event]) -> None:
        self._client.log_batch(self.run_id, tags=[RunTag(e.name, str(e.value)) for e in events])

    def _log_artifact(self, event: Event) -> None:
        path = PurePosixPath(event.name)
        folder = None if str(path.parent) == "." else str(path.parent)
        if isinstance(event.value, Path):
            self._client.log_artifact(self.run_id, str(event.value), folder)
            return
        assert isinstance(event.value, bytes)
        with tempfile.TemporaryDirectory() as temporary:
            file = Path(temporary, path.name)
            file.write_bytes(event.value)
            self._client.log_artifact(self.run_id, str(file), folder)


def check_store() -> None:
    """Raises MlrunError unless the tracking store in use answers within 10 seconds."""
    store.check(mlflow.get_tracking_uri())


def open_run(run_name: str, experiment: str | None, tags: Mapping[str, str]) -> Tracker:
    """Opens a run, or takes over the one that `mlflow run` opened (`MLFLOW_RUN_ID`).

    Args:
        run_name: the run's name; a taken-over run keeps a name that somebody gave it.
        experiment: name of the experiment, made if need be; None takes MLflow's own. A run
            that is taken over stays in its experiment.
        tags: set on the run.

    Raises:
        MlrunError: the store cannot be opened, or the run to take over does not exist.
    """
    uri = mlflow.get_tracking_uri()
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # _try() does the waiting
    if store.first_use(uri):
        print("making the tracking database, which takes a few seconds once", file=sys.stderr)
    adopted = os.environ.get("MLFLOW_RUN_ID")
    try:
        with quiet(), FileLock(store.lock_path(uri)):
            client = MlflowClient(uri)
            if adopted:
                run = client.get_run(adopted)
            else:
                experiment_id = experiment_of(client, experiment)
                look = {appearance.COLOUR_TAG: colour_for(client, experiment_id)}
                run = client.create_run(
                    experiment_id, run_name=run_name, tags={**tags, **launch_tags(), **look}
                )
    except MlflowException as error:
        raise MlrunError(f"tracking store {redact(uri)}: {one_line(error)}") from error
    if adopted:
        del os.environ["MLFLOW_RUN_ID"]  # as MLflow does: a later run is not this one
        if is_made_up(run.info.run_name):
            client.update_run(adopted, name=run_name)
            run = client.get_run(adopted)
    tracker = Tracker(client, uri, run)
    if adopted:
        tracker.tags({k: v for k, v in tags.items() if k not in tracker.given_tags})
        tracker.tags({appearance.COLOUR_TAG: colour_for(client, run.info.experiment_id)})
    return tracker


def colour_for(client: MlflowClient, experiment_id: str) -> str:
    """Returns a colour for a run that tells it from the last coloured one before it."""
    latest = client.search_runs(
        [experiment_id], max_results=5, order_by=["attributes.start_time DESC"]
    )
    colours = (run.data.tags.get(appearance.COLOUR_TAG) for run in latest)
    return appearance.next_colour(next((colour for colour in colours if colour), None))


def view_of(client: MlflowClient, experiment_id: str) -> str | None:
    """Returns the view that we keep with the experiment, or None."""
    view: str | None = client.get_experiment(experiment_id).tags.get(appearance.VIEW_TAG)
    return view


def locate(experiment: str | None) -> tuple[str, str, str]:
    """Returns the store in use, the id of an experiment there, and the key of our view of it.

    The key is empty where no run of the experiment has pictures yet.

    Raises:
        MlrunError: the store does not answer, or has no experiment of that name.
    """
    uri: str = mlflow.get_tracking_uri()
    store.check(uri)
    with quiet(), FileLock(store.lock_path(uri)):
        client = MlflowClient(uri)
        if experiment is None:
            experiment_id = _get_experiment_id()
        else:
            found = client.get_experiment_by_name(experiment)
            if found is None:
                names = [e.name for e in client.search_experiments()]
                raise unknown("experiment", experiment, names)
            experiment_id = found.experiment_id
        view = view_of(client, experiment_id)
    return uri, experiment_id, appearance.VIEW_KEY if view else ""


def fail_waiting_run(reason: str) -> None:
    """Says on the run that `mlflow run` opened why nothing was started, if it can be reached."""
    adopted = os.environ.get("MLFLOW_RUN_ID")
    if not adopted:
        return
    with suppress(Exception):
        store.check(mlflow.get_tracking_uri())
        client = MlflowClient()
        client.set_tag(adopted, "mlrun.reason", reason[:5000])
        client.set_tag(adopted, "mlrun.status", "FAILED")
        client.set_terminated(adopted, "FAILED")


def experiment_of(client: MlflowClient, name: str | None) -> str:
    """Returns the id of the experiment of that name, made if need be, or of MLflow's own."""
    if name is None:
        own: str = _get_experiment_id()
        return own
    found = client.get_experiment_by_name(name)
    if found is None:
        made: str = client.create_experiment(name)
        return made
    if found.lifecycle_stage != "active":
        raise MlrunError(f"experiment {name} was deleted; restore it, or give another name")
    known: str = found.experiment_id
    return known


def launch_tags() -> dict[str, str]:
    """Returns the tags by which MLflow shows who started a run, and with what."""
    return {
        "mlflow.user": getpass.getuser(),
        "mlflow.source.name": Path(sys.argv[0] or "python").name,
        "mlflow.source.type": "LOCAL",
    }


def is_made_up(name: str) -> bool:
    """Whether MLflow made the run's name up (`bold-cat-12`) because nobody gave one."""
    from mlflow.utils import name_utils

    words = name.split("-")
    return (
        len(words) == 3
        and words[0] in {w.lower() for w in name_utils._GENERATOR_PREDICATES}
        and words[1] in {w.lower() for w in name_utils._GENERATOR_NOUNS}
        and words[2].isdigit()
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps what MLflow and Alembic say in passing off the terminal; warnings still show."""
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
