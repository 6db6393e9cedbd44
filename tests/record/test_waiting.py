"""A store that is there and cannot be used yet is waited for, within bounds."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException, RestException
from runs import QUICK, logged, only_run
from tellings import once_told
from waiting import until

from mlrun import train
from mlrun.errors import MlrunError
from mlrun.record import colours, leftovers, lookup, opening, waiting
from mlrun.record.store import lock_path
from mlrun.record.waiting import Busy, refusal

Told = Callable[[], str]


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Says soon what is waited for."""
    monkeypatch.setattr(waiting, "SILENT", 0.0)
    monkeypatch.setattr(waiting, "PAUSE", 0.05)
    monkeypatch.setattr(waiting, "HELD", 0.05)


@contextmanager
def locked(path: Path, how: str) -> Iterator[sqlite3.Connection]:
    """An SQLite file that another connection has locked until it is closed."""
    options = {"isolation_level": None, "check_same_thread": False}
    with closing(sqlite3.connect(path, **options)) as connection:  # type: ignore[call-overload]  # options are of several types
        connection.execute(f"BEGIN {how}")
        yield connection


@pytest.mark.parametrize("how", ["EXCLUSIVE", "IMMEDIATE"])
def test_a_run_starts_when_a_locked_store_is_free(
    store: str, home: Path, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    with locked(home / "mlflow.db", how) as other, once_told(caplog, other.rollback):
        run = train(QUICK)
    assert logged(run.run_id).info.status == "FINISHED"
    assert len(MlflowClient().search_runs(["0"])) == 1
    (line,) = (r.getMessage() for r in caplog.records if "waiting" in r.getMessage())
    assert line == (
        f"tracking store {store}: OperationalError: database is locked; waiting for it, 120 s "
        "at most"
    )


def test_a_run_starts_when_nobody_opens_the_store_any_more(
    store: str, caplog: pytest.LogCaptureFixture
) -> None:
    lock = FileLock(lock_path(store), thread_local=False)
    lock.acquire()
    with once_told(caplog, lambda: lock.release(force=True)):
        run = train(QUICK)
    assert logged(run.run_id).info.status == "FINISHED"
    (line,) = (r.getMessage() for r in caplog.records if "waiting" in r.getMessage())
    assert f"another process is opening it, and holds {lock_path(store)}" in line


def test_a_store_that_stays_locked_is_refused_after_a_time(
    store: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "LONGEST", 0.3)
    with (
        locked(home / "mlflow.db", "EXCLUSIVE"),
        pytest.raises(MlrunError, match=r"database is locked, still after 0.3 s; end what"),
    ):
        train(QUICK)
    assert MlflowClient().search_runs(["0"]) == []


@pytest.mark.parametrize("stage", ["at once", "when it is opened"])
def test_who_waits_for_a_store_can_be_interrupted(
    store: str,
    home: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
) -> None:
    if stage == "when it is opened":
        monkeypatch.setattr(opening, "check_store", lambda experiment: None)
    with (
        locked(home / "mlflow.db", "EXCLUSIVE"),
        pytest.raises(KeyboardInterrupt),
        once_told(caplog, lambda: os.kill(os.getpid(), signal.SIGINT)),
    ):
        train(QUICK)


@pytest.mark.parametrize(
    "reader", [lookup.open_store, lambda: opening.locate(None)], ids=["read", "locate"]
)
def test_who_reads_waits_for_who_opens_the_store(
    store: str, caplog: pytest.LogCaptureFixture, reader: Callable[[], object]
) -> None:
    lock = FileLock(lock_path(store), thread_local=False)
    lock.acquire()
    with once_told(caplog, lambda: lock.release(force=True)):
        assert reader() is not None


@pytest.mark.parametrize(
    "reader", [lookup.open_store, lambda: opening.locate(None)], ids=["read", "locate"]
)
def test_who_reads_waits_for_a_store_that_nobody_else_may_read(
    store: str,
    home: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    reader: Callable[[], object],
) -> None:
    with locked(home / "mlflow.db", "EXCLUSIVE") as other, once_told(caplog, other.rollback):
        assert reader() is not None
    monkeypatch.setattr(waiting, "LONGEST", 0.0)
    with locked(home / "mlflow.db", "IMMEDIATE"):  # which somebody else writes
        assert reader() is not None


def test_a_lock_that_somebody_keeps_holds_up_the_colour_alone(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(colours, "OTHERS", 0.1)
    tracker = opening.open_run("mine", None, {})
    until(lambda: not tracker.journal.left())
    with FileLock(lock_path(store)):
        tracker.settle_in()
        tracker.metrics({"m": 1.0}, 0)
        until(lambda: tracker.fails and only_run().data.metrics == {"m": 1.0})
    tracker.close("FINISHED")
    assert tracker.left == 0


def test_what_waits_in_a_journal_is_sent_when_a_locked_store_is_free(
    store: str, home: Path
) -> None:
    (home / "mlruns").write_text("in the way of the artifacts")
    tracker = opening.open_run("mine", None, {})
    tracker.artifact("notes.txt", "x")
    tracker.close("FINISHED", wait=0.5)
    tracker.settle()
    (home / "mlruns").unlink()
    (folder,) = leftovers.unsent_runs()
    with locked(home / "mlflow.db", "EXCLUSIVE") as other:
        told: list[str] = []

        def trouble(reason: str) -> None:
            told.append(reason)
            other.rollback()

        sent = leftovers.send(folder, 20, trouble)
    assert "database is locked" in told[0]
    assert (sent.left, sent.refused) == (0, {})


@pytest.mark.parametrize(
    "error",
    [
        sqlite3.OperationalError("database table is locked: runs"),
        MlflowException("FATAL:  the database system is shutting down"),
        MlflowException("FATAL:  the database system is not yet accepting connections"),
        MlflowException("FATAL:  sorry, too many clients already"),
        MlflowException('(1040, "Too many connections")'),
        RestException({"error_code": "TEMPORARILY_UNAVAILABLE", "message": "database is locked"}),
        ConnectionError("too many 503 error responses"),
        ConnectionError("too many 500 error responses"),
        MlflowException("API request to … failed with error code 502 != 200."),
    ],
    ids=str,
)
def test_what_may_be_over_soon_is_waited_for(error: Exception) -> None:
    assert isinstance(refusal("http://ann:secret@db", error), Busy)
    assert str(refusal("http://ann:secret@db", error)).startswith("tracking store http://***@db: ")


@pytest.mark.parametrize(
    "error",
    [
        MlflowException("FATAL:  password authentication failed for user ann"),
        sqlite3.DatabaseError("file is not a database"),
        ConnectionRefusedError(111, "Connection refused"),
        MlflowException("API request to … failed with error code 401 != 200."),
    ],
    ids=str,
)
def test_what_stays_is_refused_at_once(error: Exception) -> None:
    assert not isinstance(refusal("sqlite:///x.db", error), Busy)
