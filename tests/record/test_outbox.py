"""The one consumer of events, over a store that fails in every way a store can."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from outboxes import SIZES, Store, outbox_to, put, started
from waiting import until

from mlrun.record.events import Event
from mlrun.record.journal import Journal
from mlrun.record.journal_files import Header


def failing(events: list[Event]) -> None:
    raise ConnectionError("down")


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "run", Header("r", "0", "mine", "sqlite:///x.db", 0))


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


def test_while_a_store_is_away_what_waits_stays_on_the_disk(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlrun.record.outbox.READ_AT_ONCE", 4)
    store = Store(failures=1)
    outbox = outbox_to(store, journal)
    put(outbox, "abcdefghij")
    assert outbox.close(20) == 0
    assert sorted(name for names in store.requests for name in names) == list("abcdefghij")
