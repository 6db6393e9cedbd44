"""The threads of an outbox: requests that hang, threads that end, kinds that go side by side."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from outboxes import Store, outbox_to, put, started
from waiting import until

from mlrun.record.events import Event, Kind
from mlrun.record.journal import Journal
from mlrun.record.journal_files import Header
from mlrun.record.outbox import Outbox


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "run", Header("r", "0", "mine", "sqlite:///x.db", 0))


def test_a_request_that_never_returns_does_not_hold_the_end_up(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlrun.record.outbox.LAST_TRY", 0.2)
    store = Store()
    store.waits.clear()
    outbox = outbox_to(store, journal)
    put(outbox, "ab")
    started_at = time.monotonic()
    assert outbox.close(0.1) == 2
    assert outbox.reason == "there was no answer in time"
    assert time.monotonic() - started_at < 10
    store.waits.set()


def test_a_request_that_never_returns_does_not_keep_the_process_from_ending(
    journal: Journal,
) -> None:
    store = Store()
    store.waits.clear()
    outbox = started(journal, {"artifact": store.take}, {"artifact": 1})
    for name in "ab":
        outbox.put(Event("artifact", name, b""))

    def senders() -> list[threading.Thread]:
        return [t for t in threading.enumerate() if t.name.startswith("mlrun-outbox")]

    until(lambda: len(senders()) >= 2)
    assert all(thread.daemon for thread in senders())
    store.waits.set()
    assert outbox.close(10) == 0


def test_where_the_thread_died_closing_sends(journal: Journal) -> None:
    store = Store()

    def die(events: list[Event]) -> None:
        if threading.current_thread().name == "mlrun-outbox":
            raise SystemExit("a bug")  # which no store raises
        store.take(events)

    outbox = started(journal, {"metric": die}, {"metric": 9})
    put(outbox, "ab")
    until(lambda: outbox.died)
    assert outbox.died == "the thread that sends events ended: SystemExit: a bug"
    put(outbox, "c")
    assert outbox.close(10) == 0
    assert [name for names in store.requests for name in names] == ["a", "b", "c"]


def test_what_was_taken_when_the_thread_died_is_not_sent_again(journal: Journal) -> None:
    taken: list[str] = []

    def take_file(events: list[Event]) -> None:
        taken.extend(Path(str(event.value)).read_text() for event in events)

    def die(events: list[Event]) -> None:
        if threading.current_thread().name == "mlrun-outbox":
            while not taken:
                time.sleep(0.01)
            raise SystemExit("a bug")

    sizes: dict[Kind, int] = {"metric": 9, "artifact": 1}
    outbox = Outbox(journal, {"metric": die, "artifact": take_file}, sizes, bool, {"artifact"})
    outbox.put(Event("artifact", "x.txt", b"content"))
    put(outbox, "a")
    outbox.start()
    until(lambda: outbox.died)
    assert outbox.close(2) == 0
    assert taken == ["content"]


def test_a_thread_that_ended_without_a_word_is_told_of(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Outbox, "_run", lambda outbox: None)  # as for want of memory
    store = Store()
    outbox = outbox_to(store, journal)
    put(outbox, "a")
    assert until(lambda: outbox.died) == "the thread that sends events ended"
    assert outbox.close(10) == 0
    assert store.requests == [["a"]]


def test_without_a_thread_nothing_is_lost_either(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    store = Store()
    outbox = outbox_to(store, journal)
    assert outbox.died == "no thread to send events with (can't start new thread)"
    put(outbox, "ab")
    assert outbox.close(10) == 0
    assert store.requests == [["a", "b"]]


def test_putting_never_waits_for_a_store_that_does(journal: Journal) -> None:
    store = Store()
    store.waits.clear()
    outbox = outbox_to(store, journal)
    put(outbox, "abcdef")  # would hang here
    store.waits.set()
    assert outbox.close(10) == 0
    assert [name for names in store.requests for name in names] == list("abcdef")


def test_requests_that_may_go_side_by_side_do_not_wait_for_each_other(journal: Journal) -> None:
    together = threading.Barrier(3)
    sent: list[str] = []

    def send(events: list[Event]) -> None:
        together.wait(10)  # breaks unless three are on their way at once
        sent.append(events[0].name)

    store = Store()
    outbox = started(
        journal, {"metric": store.take, "artifact": send}, {"metric": 1, "artifact": 1}
    )
    for name in "xyz":
        outbox.put(Event("artifact", name, b""))
    put(outbox, "abc")
    assert outbox.close(10) == 0
    assert sorted(sent) == ["x", "y", "z"]
    assert store.requests == [["a"], ["b"], ["c"]]


def test_the_journal_is_written_to_the_disk_while_a_request_hangs(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlrun.record.outbox.SYNC_EVERY", 0.05)
    store = Store()
    store.waits.clear()
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_size))
    outbox = outbox_to(store, journal)
    put(outbox, "a")
    until(lambda: bool(synced))
    before = len(synced)
    put(outbox, "b")  # the request with the first one does not return
    until(lambda: len(synced) > before)
    store.waits.set()
    assert outbox.close(10) == 0
