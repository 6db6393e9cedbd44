"""Logs a run to MLflow: what it logs is written to a journal, and sent by an outbox."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal

from mlflow import MlflowClient

from mlrun.errors import encodable, one_line
from mlrun.machine.calls import answered
from mlrun.machine.interrupts import interruptible, undisturbed
from mlrun.machine.shortages import shortage
from mlrun.record import appearance, links
from mlrun.record.colours import COLOUR_TAG
from mlrun.record.directly import send_directly
from mlrun.record.earlier import NOTHING, Earlier
from mlrun.record.events import Event, Kind, LoggedData, end_tags
from mlrun.record.journal import Journal
from mlrun.record.noise import quiet, quiet_threads
from mlrun.record.outbox import LAST_TRY, Outbox
from mlrun.record.sending import AT_ONCE, Sender, is_refused
from mlrun.record.tables import TABLES_TAG, Table, table_events, with_table

IMPATIENT = 1.0  # second: how long the end of a run waits for the store once nobody wants to wait
Status = Literal["FINISHED", "FAILED", "KILLED"]


class RecordFailed(Exception):
    """Events of a run can no longer be written or sent; the message says why."""


class Tracker:
    """Logs one run to MLflow: everything is an event in its journal, which an `Outbox` sends.

    Args:
        client: of the store.
        uri: the store's address.
        run: as MLflow gives it.
        journal: of the run.
        has_view: whether the run's experiment has a view of ours.
        earlier: what the run has already, if it is taken up again.

    Attributes:
        run_id, experiment_id, run_name: the run's place in MLflow.
        earlier_params, earlier_tags: of a run that was taken over from `mlflow run`, at that time.
        journal: as given.
        rows: name and step of each metric that the run had, which are not logged a second time.
        earlier_checkpoints, earlier_files: paths of its checkpoints in the store, and the names of
            its files and folders.
        left: events that the store does not have, once the run is closed; the journal has them.
        lost: events that could be neither written nor sent.
    """

    def __init__(
        self,
        client: MlflowClient,
        uri: str,
        run: Any,
        journal: Journal,
        earlier: Earlier = NOTHING,
        *,
        has_view: bool = False,
    ) -> None:
        self.run_id: str = run.info.run_id
        self.experiment_id: str = run.info.experiment_id
        self.run_name = journal.header.name
        self.uri = uri
        self.earlier_params = dict(run.data.params)
        self.earlier_tags = dict(run.data.tags)
        self.started: int = run.info.start_time
        self.rows = earlier.rows
        self.earlier_checkpoints, self.earlier_files = earlier.checkpoints, earlier.files
        self.journal, self.left, self.lost = journal, 0, 0
        self._tables = self.earlier_tags.get(TABLES_TAG, "[]")
        self._sender = Sender(client, run, has_view=has_view)
        self._outbox = outbox_of(journal, self._sender, uri)
        self._outbox.start()
        self._writing = threading.Lock()
        self._unwritten: deque[Event] = deque()
        self._broken = ""

    @property
    def refused(self) -> dict[str, str]:
        """Events that MLflow rejected, by name, with the reason."""
        return dict(self.journal.refused.values())

    @property
    def reason(self) -> str:
        """Why the store did not take something, the last time that it did not; or empty."""
        return self._outbox.reason

    @property
    def fails(self) -> bool:
        """Whether the store did not take what it was sent last."""
        return self._outbox.fails

    def on_trouble(self, report: Callable[[str], None]) -> None:
        """Has `report` called with the reason, from another thread, when the store first fails."""
        self._outbox.trouble = report

    def log(self, event: Event) -> None:
        """Writes one event to the journal; it is sent soon.

        What cannot be written is tried again with the next event; `check` says so.
        """
        with undisturbed(), self._writing:
            self._unwritten.append(event)
            try:
                while self._unwritten:
                    self._outbox.put(self._unwritten[0])
                    self._unwritten.popleft()
                self._broken = ""
            except OSError as error:
                self._broken = why(error, self.journal.folder)

    def check(self) -> None:
        """Raises RecordFailed where events can no longer be written, or no longer be sent."""
        if self._broken:  # not what another thread is about to write
            raise RecordFailed(f"the record of the run cannot be written: {self._broken}")
        if self._outbox.died:
            raise RecordFailed(self._outbox.died)

    def metrics(self, values: Mapping[str, float], step: int, at: int | None = None) -> None:
        """Logs each value at `step`, as of `at`, milliseconds since 1970; now by default.

        One that the run had at that step, before it was taken up again, stays as it is.
        """
        now = time.time_ns() // 1_000_000 if at is None else at
        for name, value in values.items():
            if (name, step) in self.rows:
                continue
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
        """Gives the run a colour unlike those before it."""
        self.log(Event("look", COLOUR_TAG, ""))

    def model(self, module: Any, example: Any, output: Any, requirements: list[str]) -> None:
        """Saves `module` as the run's servable model (pt2) beside the journal, and logs it.

        Args:
            module: a torch module in evaluation mode on the CPU, which takes any number type.
            example: float32 (2, C, H, W), a batch as it is sent to the server.
            output: float32 (2, K), the module's logits for `example`.
            requirements: what pip must install to serve it.
        """
        from mlrun.record.models import save_model

        folder = self.journal.new_folder() / "model"
        with quiet():
            save_model(folder, module, example, output, requirements)
        self.log(Event("model", "model", folder))

    def show(self, keys: Iterable[str], step: int) -> None:
        """Puts the pictures of these keys first on the experiment's chart page, at `step`."""
        if keys:
            self.log(Event("view", appearance.VIEW_KEY, json.dumps(list(keys)), step))

    def remove(self, name: str) -> None:
        """Removes the artifact `name`, which was logged before."""
        self.log(Event("removal", name, ""))

    @property
    def link(self) -> str:
        """The address of the run's page."""
        return links.run_link(links.ui_base(self.uri), self.experiment_id, self.run_id)

    @property
    def comparison_link(self) -> str:
        """The address of the experiment's chart page, with our view if it is there."""
        key = appearance.VIEW_KEY if self._sender.has_view else ""
        return links.comparison_link(links.ui_base(self.uri), self.experiment_id, key)

    def close(self, status: Status, reason: str = "", wait: float = 60.0) -> None:
        """Ends the run with `status` and `reason`, and sends what is left.

        Does not raise. What the store does not take within `wait` seconds, the end of the run
        last of all, stays in the journal: `left` counts it. A signal breaks the wait off, and that
        is all it does.
        """
        self.tags(end_tags(status, reason))
        self.log(Event("end", "status", status))
        with self._writing:  # another thread may be at it
            self.lost = len(self._unwritten)
        for seconds in (wait, min(wait, IMPATIENT)):
            with suppress(KeyboardInterrupt), interruptible():
                self._outbox.close(seconds)
                if self._unwritten:
                    send = partial(send_directly, self._sender.by_kind(), [*self._unwritten])
                    with suppress(TimeoutError):
                        self.lost = answered(send, limit=seconds + min(seconds, LAST_TRY))
                    self.journal.ended = self.journal.ended or ("" if self.lost else status)
                break
        self.left = self.journal.left()

    def settle(self) -> None:
        """Deletes the run's folder, but for the journal where something is left or refused."""
        self.journal.settle()


def outbox_of(journal: Journal, sender: Sender, uri: str) -> Outbox:
    """Returns the outbox of a journal that sends to the store at `uri`; it is not started."""
    # over a network requests wait, and not for each other; in a file they would
    side_by_side: tuple[Kind, ...] = ("artifact",)
    if uri.startswith(("http://", "https://")):
        side_by_side = tuple(AT_ONCE)
    quiet_threads()
    return Outbox(journal, sender.by_kind(), AT_ONCE, is_refused, side_by_side)


def why(error: BaseException, folder: Path) -> str:
    """Returns why a file of a run could not be written, in words.

    >>> why(OSError(28, "No space left on device"), Path("/srv/state"))
    'disk full: there is no space left for /srv/state'
    """
    return str(shortage(error, folder) or one_line(error))
