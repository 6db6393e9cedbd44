"""Events that cannot be written to a journal: sent as they are, once, or counted as lost."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from mlrun.record.directly import send_directly
from mlrun.record.events import Event, Kind
from mlrun.record.outbox import Send

EVENTS = [
    Event("metric", "a", 1.0),
    Event("metric", "b", 2.0),
    Event("artifact", "folder/x.txt", b"content"),
    Event("tag", "mlrun.status", "FAILED"),
    Event("end", "status", "FAILED"),
]


class Store:
    """Takes all but what it is told to refuse, or to fail at."""

    def __init__(self, refuses: str = "", fails_at: str = "") -> None:
        self.refuses, self.fails_at = refuses, fails_at
        self.taken: list[list[str]] = []

    def take(self, events: list[Event]) -> None:
        names = [event.name for event in events]
        if self.refuses in names:
            raise MlflowException.invalid_parameter_value("no such name")
        if self.fails_at in names:
            raise ConnectionError("down")
        for event in events:
            if event.kind == "artifact":
                assert Path(str(event.value)).read_bytes() == b"content"
                assert Path(str(event.value)).name == Path(event.name).name
        self.taken.append(names)

    @property
    def send(self) -> Mapping[Kind, Send]:
        return {event.kind: self.take for event in EVENTS}


def test_events_are_sent_in_order_and_those_of_a_kind_together() -> None:
    store = Store()
    assert send_directly(store.send, EVENTS) == 0
    assert store.taken == [["a", "b"], ["folder/x.txt"], ["mlrun.status"], ["status"]]


def test_what_is_refused_is_passed_over_and_counted() -> None:
    store = Store(refuses="folder/x.txt")
    assert send_directly(store.send, EVENTS) == 1
    assert store.taken == [["a", "b"], ["mlrun.status"], ["status"]]


def test_a_file_that_can_be_written_nowhere_costs_itself_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    store = Store()
    assert send_directly(store.send, EVENTS) == 1
    assert store.taken == [["a", "b"], ["mlrun.status"], ["status"]]


def test_a_store_that_fails_is_not_tried_again() -> None:
    store = Store(fails_at="b")
    assert send_directly(store.send, EVENTS) == 5
    assert store.taken == []
