"""The one consumer of events, over a store that fails in every way a store can."""

from __future__ import annotations

import threading

import pytest

from mlrun.record import outbox as outbox_module
from mlrun.record.events import Event
from mlrun.record.outbox import Outbox


class Store:
    """Takes metrics; fails as often as it is told, and refuses some names for good."""

    def __init__(self, failures: int = 0, refuses: tuple[str, ...] = ()) -> None:
        self.failures, self.refuses = failures, refuses
        self.requests: list[list[str]] = []
        self.waits = threading.Event()
        self.waits.set()

    def take(self, events: list[Event]) -> None:
        self.waits.wait()
        if self.failures:
            self.failures -= 1
            raise ConnectionError("down")
        names = [event.name for event in events]
        if set(names) & set(self.refuses):
            raise ValueError(f"bad name among {names}")
        self.requests.append(names)


def outbox_to(store: Store) -> Outbox:
    return Outbox({"metric": store.take}, {"metric": 3}, lambda e: isinstance(e, ValueError))


def put(outbox: Outbox, names: str) -> None:
    for name in names:
        outbox.put(Event("metric", name, 1.0))


def test_many_events_share_a_request_up_to_the_limit() -> None:
    store = Store()
    outbox = outbox_to(store)
    put(outbox, "abcdefgh")
    outbox.close()
    assert store.requests == [list("abc"), list("def"), list("gh")]


def test_a_store_that_comes_back_gets_everything_in_order() -> None:
    store = Store(failures=2)
    outbox = outbox_to(store)
    put(outbox, "ab")
    outbox.close()
    assert store.requests == [["a", "b"]]
    assert outbox.lost == []


def test_what_is_refused_is_lost_alone() -> None:
    store = Store(refuses=("b",))
    outbox = outbox_to(store)
    put(outbox, "abc")
    outbox.close()
    assert store.requests == [["a"], ["c"]]
    assert [(event.name, reason) for event, reason in outbox.lost] == [
        ("b", "ValueError: bad name among ['b']")
    ]


def test_a_store_that_stays_away_is_given_up_at_the_end_and_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outbox_module, "GRACE", 0.2)
    outbox = outbox_to(Store(failures=10**6))
    put(outbox, "ab")
    outbox.close()
    assert {event.name for event, _ in outbox.lost} == {"a", "b"}
    assert {reason for _, reason in outbox.lost} == {"ConnectionError: down"}


def test_putting_never_waits_for_a_store_that_does() -> None:
    store = Store()
    store.waits.clear()
    outbox = outbox_to(store)
    put(outbox, "abcdef")  # would hang here
    store.waits.set()
    outbox.close()
    assert [name for names in store.requests for name in names] == list("abcdef")
