"""The one consumer of events, over a store that fails in every way a store can."""

from __future__ import annotations

import threading
import time

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
    assert [(event.name, reason) for event, reason in outbox.refused] == [
        ("b", "ValueError: bad name among ['b']")
    ]


def test_one_kind_that_fails_does_not_hold_the_others_up() -> None:
    store = Store()
    told: list[str] = []

    def fail(events: list[Event]) -> None:
        raise ConnectionError("no bucket")

    outbox = Outbox(
        {"artifact": fail, "metric": store.take}, {"artifact": 1, "metric": 9},
        lambda e: False, told.append,
    )  # fmt: skip
    outbox.put(Event("artifact", "x", b""))
    put(outbox, "ab")
    deadline = time.monotonic() + 10
    while not store.requests and time.monotonic() < deadline:
        time.sleep(0.05)
    assert store.requests == [["a", "b"]]
    assert told == ["ConnectionError: no bucket"]


def test_closing_a_slow_and_failing_store_takes_no_longer_than_the_grace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outbox_module, "GRACE", 0.3)
    tries: list[int] = []

    def slow(events: list[Event]) -> None:
        tries.append(len(events))
        time.sleep(0.2)
        raise TimeoutError("slow")

    outbox = Outbox({"metric": slow}, {"metric": 1}, lambda e: False)
    put(outbox, "abcdefghijklmnopqrstuvwxyz")
    outbox.close()
    assert len(outbox.lost) == 26
    assert len(tries) <= 4
    outbox.put(Event("metric", "late", 1.0))
    assert outbox.lost[-1][1] == "the run was closed"
    outbox.close()


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


def test_requests_that_may_go_side_by_side_do_not_wait_for_each_other() -> None:
    together = threading.Barrier(3)
    sent: list[str] = []

    def send(events: list[Event]) -> None:
        together.wait(10)  # breaks unless three are on their way at once
        sent.append(events[0].name)

    store = Store()
    outbox = Outbox(
        {"metric": store.take, "artifact": send},
        {"metric": 1, "artifact": 1},
        lambda error: False,
        abreast={"artifact"},
    )
    for name in "xyz":
        outbox.put(Event("artifact", name, b""))
    put(outbox, "abc")
    outbox.close()
    assert sorted(sent) == ["x", "y", "z"]
    assert store.requests == [["a"], ["b"], ["c"]]
    assert outbox.lost == []
