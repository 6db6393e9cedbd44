"""The one consumer of events, over a store that fails in every way a store can."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from waiting import until

from mlrun.record.events import Event, Kind
from mlrun.record.journal import Journal
from mlrun.record.journal_files import Header
from mlrun.record.outbox import Outbox, Send


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


SIZES: dict[Kind, int] = {"metric": 9, "artifact": 1}


def failing(events: list[Event]) -> None:
    raise ConnectionError("down")


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "run", Header("r", "0", "mine", "sqlite:///x.db", 0))


def started(journal: Journal, send: dict[Kind, Send], at_once: dict[Kind, int]) -> Outbox:
    def is_refused(error: Exception) -> bool:
        return isinstance(error, ValueError)

    outbox = Outbox(journal, send, at_once, is_refused, abreast={"artifact"})
    outbox.start()
    return outbox


def outbox_to(store: Store, journal: Journal) -> Outbox:
    return started(journal, {"metric": store.take}, {"metric": 3})


def put(outbox: Outbox, names: str) -> None:
    for name in names:
        outbox.put(Event("metric", name, 1.0))


def test_many_events_share_a_request_up_to_the_limit(journal: Journal) -> None:
    store = Store()
    outbox = outbox_to(store, journal)
    put(outbox, "abcdefgh")
    assert outbox.close(10) == 0
    assert store.requests == [list("abc"), list("def"), list("gh")]


def test_a_store_that_comes_back_gets_everything_in_order(journal: Journal) -> None:
    store = Store(failures=2)
    outbox = outbox_to(store, journal)
    put(outbox, "ab")
    assert outbox.close(10) == 0
    assert store.requests == [["a", "b"]]


def test_what_is_refused_is_kept_alone(journal: Journal) -> None:
    store = Store(refuses=("b",))
    outbox = outbox_to(store, journal)
    put(outbox, "abc")
    assert outbox.close(10) == 0
    assert store.requests == [["a"], ["c"]]
    assert journal.refused == {2: ("b", "ValueError: bad name among ['b']")}


def test_one_kind_that_fails_does_not_hold_the_others_up(journal: Journal) -> None:
    store = Store()
    told: list[str] = []

    def fail(events: list[Event]) -> None:
        raise ConnectionError("no bucket")

    def tell(reason: str) -> None:
        told.append(reason)
        raise RuntimeError("whoever shows it fails")

    outbox = started(
        journal, {"artifact": fail, "metric": store.take}, {"artifact": 1, "metric": 9}
    )
    outbox.trouble = tell
    outbox.put(Event("artifact", "x", b""))
    put(outbox, "ab")
    until(lambda: store.requests and told)
    assert store.requests == [["a", "b"]]
    assert told == ["ConnectionError: no bucket"]
    assert outbox.close(0.1) == 1


def test_of_a_chain_of_errors_the_first_is_told(journal: Journal) -> None:
    def fail(events: list[Event]) -> None:
        try:
            raise ConnectionRefusedError(111, "Connection refused")
        except OSError as error:
            raise RuntimeError("API request to … failed with exception …") from error

    outbox = started(journal, {"metric": fail}, {"metric": 1})
    put(outbox, "a")
    assert outbox.close(0.5) == 1
    assert outbox.reason == "ConnectionRefusedError: [Errno 111] Connection refused"


def test_closing_a_slow_and_failing_store_takes_no_longer_than_it_may(journal: Journal) -> None:
    tries: list[int] = []

    def slow(events: list[Event]) -> None:
        tries.append(len(events))
        time.sleep(0.2)
        raise TimeoutError("slow")

    outbox = started(journal, {"metric": slow}, {"metric": 1})
    put(outbox, "abcdefghijklmnopqrstuvwxyz")
    assert outbox.close(0.3) == 26
    assert len(tries) <= 4
    assert outbox.reason == "TimeoutError: slow"
    assert outbox.close(5) == 26  # it is closed


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


def test_a_later_process_sends_what_is_left_and_nothing_twice(journal: Journal) -> None:
    here = Store()
    first = started(journal, {"metric": here.take, "artifact": failing}, SIZES)
    put(first, "ab")
    first.put(Event("artifact", "folder/x.txt", b"content"))
    assert first.close(0.2) == 1
    journal.settle()
    assert here.requests == [["a", "b"]]

    there, files = Store(), dict[str, bytes]()

    def take_file(events: list[Event]) -> None:
        (event,) = events
        files[event.name] = Path(str(event.value)).read_bytes()

    again = Journal(journal.folder)
    later = started(again, {"metric": there.take, "artifact": take_file}, SIZES)
    assert later.close(10) == 0
    assert files == {"folder/x.txt": b"content"}
    assert there.requests == []
    assert list((journal.folder / "files").iterdir()) == []  # nobody needs it any more


def test_an_old_value_of_a_tag_is_never_sent_after_a_newer_one(journal: Journal) -> None:
    values: dict[str, str] = {}
    failures = [ConnectionError("down"), ConnectionError("down")]

    def send(events: list[Event]) -> None:
        if events[0].value == "old" and failures:
            raise failures.pop()
        values.update({event.name: str(event.value) for event in events})

    outbox = started(journal, {"tag": send}, {"tag": 1})
    outbox.put(Event("tag", "state", "old"))
    outbox.put(Event("tag", "state", "new"))
    outbox.put(Event("tag", "other", "x"))
    assert outbox.close(20) == 0
    assert values == {"other": "x", "state": "new"}
    assert list(values) == ["other", "state"]  # which did not wait


def test_the_end_of_a_run_is_sent_when_all_else_has_been(journal: Journal) -> None:
    order: list[str] = []
    failures = [ConnectionError("down")]

    def send(events: list[Event]) -> None:
        if events[0].kind == "metric" and failures:
            raise failures.pop()
        order.append(events[0].kind)

    outbox = started(journal, {"end": send, "metric": send}, {"end": 1, "metric": 9})
    put(outbox, "a")
    outbox.put(Event("end", "status", "FINISHED"))
    assert outbox.close(20) == 0
    assert order == ["metric", "end"]
    journal.settle()
    assert not journal.folder.exists()


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


def test_while_a_store_is_away_what_waits_stays_on_the_disk(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlrun.record.outbox.READ_AT_ONCE", 4)
    store = Store(failures=1)
    outbox = outbox_to(store, journal)
    put(outbox, "abcdefghij")
    assert outbox.close(20) == 0
    assert sorted(name for names in store.requests for name in names) == list("abcdefghij")


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
