"""Logs a run to MLflow, which few other modules call: `opening`, `logged`, `overview`, `models`."""

from __future__ import annotations

import json
import logging
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from mlrun.errors import encodable, one_line
from mlrun.record import appearance, store
from mlrun.record.colours import COLOUR_TAG, give_colour
from mlrun.record.events import Event, Kind, LoggedData
from mlrun.record.outbox import Outbox
from mlrun.record.tables import TABLES_TAG, Table, table_events, with_table

Status = Literal["FINISHED", "FAILED", "KILLED"]
AT_ONCE: dict[Kind, int] = {  # MLflow's limits of a request; artifacts go one by one
    "metric": 1000,
    "param": 100,
    "tag": 100,
    "input": 100,
    "look": 1,
    "artifact": 1,
}
REJECTED = {"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_DOES_NOT_EXIST"}


class Tracker:
    """Logs one run to MLflow; everything is sent as events through an `Outbox`.

    Attributes:
        run_id, experiment_id, run_name: the run's place in MLflow.
        earlier_params, earlier_tags: of a run that was taken over from `mlflow run`, at that time.
    """

    def __init__(self, client: MlflowClient, uri: str, run: Any) -> None:
        self.run_id: str = run.info.run_id
        self.experiment_id: str = run.info.experiment_id
        self.run_name: str = run.info.run_name
        self.uri = uri
        self.earlier_params = dict(run.data.params)
        self.earlier_tags = dict(run.data.tags)
        self.started: int = run.info.start_time
        self._tables = self.earlier_tags.get(TABLES_TAG, "[]")
        self._has_view = False
        self._client = client
        self._outbox = Outbox(
            {
                "metric": self._send_metrics,
                "param": self._send_params,
                "tag": self._send_tags,
                "input": self._send_inputs,
                "look": self._send_look,
                "artifact": self._send_artifact,
            },
            AT_ONCE,
            is_refused,
            # over a network requests wait, and not for each other; in a file they would
            abreast=AT_ONCE if uri.startswith(("http://", "https://")) else {"artifact"},
        )

    @property
    def lost(self) -> list[tuple[Event, str]]:
        """Events that were not sent because the store did not answer, with the reason."""
        return self._outbox.lost

    @property
    def refused(self) -> list[tuple[Event, str]]:
        """Events that MLflow rejected, with the reason."""
        return self._outbox.refused

    def on_trouble(self, report: Callable[[str], None]) -> None:
        """Has `report` called with the reason, from another thread, when the store first fails."""
        self._outbox.trouble = report

    def log(self, event: Event) -> None:
        """Queues one event without waiting; it is sent soon."""
        self._outbox.put(event)

    def metrics(self, values: Mapping[str, float], step: int, at: int | None = None) -> None:
        """Logs each value at `step`, as of `at`, milliseconds since 1970; now by default."""
        now = time.time_ns() // 1_000_000 if at is None else at
        for name, value in values.items():
            self.log(Event("metric", name, value, step, now))

    def params(self, values: Mapping[str, str]) -> None:
        """Logs the params that the run does not have yet; those it has cannot be changed."""
        for name, value in values.items():
            if name not in self.earlier_params:
                self.log(Event("param", encodable(name), encodable(value)[:6000]))

    def tags(self, values: Mapping[str, str]) -> None:
        """Sets tags."""
        for name, value in values.items():
            self.log(Event("tag", encodable(name), encodable(value)[:5000]))

    def artifact(self, name: str, content: bytes | str | Path) -> None:
        """Logs a file under the path `name` in the run; a text is written as UTF-8."""
        value = encodable(content).encode() if isinstance(content, str) else content
        self.log(Event("artifact", encodable(name), value))

    def table(self, name: str, table: Table) -> None:
        """Logs a table as `tables/<name>.json`, and its images; MLflow's pages show both."""
        for event in table_events(name, table):
            self.log(event)
        self._tables = with_table(self._tables, name)
        self.tags({TABLES_TAG: self._tables})

    def inputs(self, parts: Iterable[LoggedData]) -> None:
        """Logs the data sets of the run."""
        for part in parts:
            self.log(Event("input", part.name, part))

    def settle_in(self) -> None:
        """Gives the run a colour unlike those before it, and checks for our view."""
        self.log(Event("look", COLOUR_TAG, ""))

    def model(self, module: Any, example: Any, output: Any, requirements: list[str]) -> None:
        """Logs `module` as the run's servable model (pt2), once.

        Args:
            module: a torch module in evaluation mode on the CPU, which takes any number type.
            example: float32 (2, C, H, W), a batch as it is sent to the server.
            output: float32 (2, K), the module's logits for `example`.
            requirements: what pip must install to serve it.
        """
        from mlrun.record.models import log_model

        self.flush()
        with quiet():
            log_model(self.run_id, module, example, output, requirements)

    def show(self, keys: Iterable[str], step: int) -> None:
        """Puts the pictures of these keys first on the experiment's chart page, at `step`.

        The page works without it, so an error of the store is ignored.
        """
        if not keys:
            return
        with suppress(Exception):
            before = view_of(self._client, self.experiment_id)
            after = appearance.with_keys(before, keys, step)
            self._client.set_experiment_tag(self.experiment_id, appearance.VIEW_TAG, after)
            self._has_view = True

    @property
    def link(self) -> str:
        """The address of the run's page."""
        return store.run_link(store.ui_base(self.uri), self.experiment_id, self.run_id)

    @property
    def comparison_link(self) -> str:
        """The address of the experiment's chart page, with our view if it is there."""
        key = appearance.VIEW_KEY if self._has_view else ""
        return store.comparison_link(store.ui_base(self.uri), self.experiment_id, key)

    def flush(self) -> None:
        """Waits until every event so far is sent or lost."""
        self._outbox.flush()

    def close(self, status: Status) -> None:
        """Sends what is left, ends the run with `status`, and stops the thread.

        A run of which something was lost ends FAILED. Does not raise: events that could not be
        sent are in `lost`.
        """
        self.tags({"mlrun.status": status})
        self._outbox.close()
        try:
            if self.lost and status == "FINISHED":
                status = "FAILED"
                for name, text in {"status": status, "reason": "the record is incomplete"}.items():
                    self._client.set_tag(self.run_id, f"mlrun.{name}", text)
            self._client.set_terminated(self.run_id, status)
        except Exception as error:
            self.lost.append((Event("tag", "mlrun.status", status), one_line(error)))

    def _send_metrics(self, events: list[Event]) -> None:
        rows = [Metric(e.name, float(e.value), e.timestamp, e.step) for e in events]  # type: ignore[arg-type]  # a metric's value is a number
        self._client.log_batch(self.run_id, metrics=rows)

    def _send_params(self, events: list[Event]) -> None:
        self._client.log_batch(self.run_id, params=[Param(e.name, str(e.value)) for e in events])

    def _send_tags(self, events: list[Event]) -> None:
        self._client.log_batch(self.run_id, tags=[RunTag(e.name, str(e.value)) for e in events])

    def _send_inputs(self, events: list[Event]) -> None:
        parts = [event.value for event in events if isinstance(event.value, LoggedData)]
        self._client.log_inputs(self.run_id, datasets=[as_input(part) for part in parts])

    def _send_look(self, events: list[Event]) -> None:
        give_colour(self._client, self.uri, self.experiment_id, self.run_id)
        self._has_view = view_of(self._client, self.experiment_id) is not None or self._has_view

    def _send_artifact(self, events: list[Event]) -> None:
        (event,) = events
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
    """Whether MLflow rejects a request for good, so that sending it again is useless."""
    return isinstance(error, MlflowException) and error.error_code in REJECTED


def view_of(client: MlflowClient, experiment_id: str) -> str | None:
    """Returns the view that we keep with the experiment, or None."""
    view: str | None = client.get_experiment(experiment_id).tags.get(appearance.VIEW_TAG)
    return view


@contextmanager
def quiet() -> Iterator[None]:
    """Hides MLflow's and Alembic's messages; warnings still show."""
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
