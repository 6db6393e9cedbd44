"""A store that is there and cannot be used yet is waited for, within bounds."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException, RestException
from runs import QUICK, Recorder, logged, only_run
from waiting import until

from mlrun import train
from mlrun.errors import MlrunError
from mlrun.machine import calls
from mlrun.machine.interrupts import heeded
from mlrun.record import colours, leftovers, lookup, opening, waiting
from mlrun.record.store import lock_path
from mlrun.record.waiting import Busy, check_free, refusal

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


@contextmanager
def once_told(caplog: pytest.LogCaptureFixture, action: Callable[[], object]) -> Iterator[None]:
    """Does something in another thread when the user was told what is waited for, as he must be."""

    def is_told() -> bool:
        return any("waiting for it" in record.getMessage() for record in caplog.records)

    def act() -> None:
        until(is_told)
        action()

    thread = threading.Thread(target=act)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    assert is_told()


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
        reader()


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
        reader()
    monkeypatch.setattr(waiting, "LONGEST", 0.0)
    with locked(home / "mlflow.db", "IMMEDIATE"):  # which somebody else writes
        reader()


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


def test_a_server_that_asks_for_a_password_is_told_how_to_give_one() -> None:
    error = MlflowException("API request to … failed with error code 401 != 200. Response body: …")
    assert str(refusal("http://ann:secret@db", error)) == (
        "tracking store http://***@db: it does not take the user and password, or lacks them; set "
        "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
    )


class Silent:
    """A server that tells of an experiment, and is silent to who opens a run, until it is let go.

    asked: the requests, and what they said, in order.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.go = threading.Event()

    def answer(self, name: str, told: Any) -> dict[str, object]:
        """What a request is answered."""
        self.asked.append((name, told))
        if name == "runs/create":
            os.kill(os.getpid(), signal.SIGTERM)
            assert self.go.wait(60)
            info = {"run_id": "a" * 32, "run_name": "mine", "experiment_id": "0", "start_time": 1}
            info |= {"artifact_uri": "mlflow-artifacts:/0", "lifecycle_stage": "active"}
            return {"run": {"info": {**info, "status": "RUNNING"}, "data": {}}}
        experiment = {"experiment_id": "0", "name": "Default", "lifecycle_stage": "active"}
        return {"experiment": {**experiment, "artifact_location": "mlflow-artifacts:/0"}}


@contextmanager
def served(silent: Silent) -> Iterator[str]:
    """Runs a server that answers so; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}"
            name = self.path.partition("/mlflow/")[2].partition("?")[0]
            content = json.dumps(silent.answer(name, json.loads(told))).encode()
            with suppress(OSError):
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            silent.go.set()
            server.shutdown()
            thread.join()


def test_who_is_interrupted_while_a_store_is_silent_to_the_opening_of_a_run_gives_up(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "GRACE", 0.5)
    silent, told = Silent(), Recorder()
    with served(silent) as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        with pytest.raises(KeyboardInterrupt) as raised:
            train(QUICK, progress=told)
        assert str(raised.value) == "interrupted (SIGTERM)"
        assert told.lines[-1].startswith("the tracking store did not answer in time; whether ")
        (kept,) = (home.parent / "state" / "beginning").iterdir()  # to begin it again
        assert "model: mlp" in kept.read_text()
        # it was opened, and is ended as soon as that is known
        silent.go.set()
        until(lambda: "runs/update" in dict(silent.asked))
    told_last = dict(silent.asked)["runs/update"]
    assert (told_last["run_id"], told_last["status"]) == ("a" * 32, "KILLED")


@pytest.mark.parametrize("reader", [lookup.open_store, opening.check_store])
def test_who_waits_for_a_database_that_says_nothing_is_told_and_can_be_interrupted(
    home: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    reader: Callable[[], object],
) -> None:
    pytest.importorskip("psycopg", reason="pip install 'mlrun-vision[postgresql]'")
    monkeypatch.setattr(waiting, "NO_WORD", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv(
            "MLFLOW_TRACKING_URI", f"postgresql://127.0.0.1:{server.getsockname()[1]}/mlflow"
        )
        with (
            pytest.raises(KeyboardInterrupt),
            heeded(),
            once_told(caplog, lambda: os.kill(os.getpid(), signal.SIGINT)),
        ):
            reader()


def error_of_postgresql(code: bytes, text: bytes) -> bytes:
    """Returns the message of the protocol that lets nobody in."""
    body = b"SFATAL\0VFATAL\0C" + code + b"\0M" + text + b"\0\0"
    return b"E" + (len(body) + 4).to_bytes(4, "big") + body


@contextmanager
def postgresql(code: bytes, text: bytes) -> Iterator[str]:
    """A server that answers each connection with an error, as PostgreSQL does; its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            try:
                while True:
                    with server.accept()[0] as line:
                        if line.recv(8)[-4:] == (80877103).to_bytes(4, "big"):
                            line.sendall(b"N")  # no TLS
                            line.recv(1000)
                        line.sendall(error_of_postgresql(code, text))
            except OSError:  # it was closed
                return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"postgresql://ann:secret@127.0.0.1:{server.getsockname()[1]}/mlflow"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        (b"57P03", b"the database system is starting up", Busy),
        (b"28P01", b'password authentication failed for user "ann"', MlrunError),
    ],
    ids=["starts", "refuses"],
)
def test_a_database_that_starts_up_is_told_from_one_that_lets_nobody_in(
    code: bytes, text: bytes, kind: type[MlrunError]
) -> None:
    pytest.importorskip("psycopg", reason="pip install 'mlrun-vision[postgresql]'")
    with postgresql(code, text) as address, pytest.raises(MlrunError) as caught:
        check_free(address)
    assert type(caught.value) is kind
    assert text.decode() in str(caught.value)
    assert "secret" not in str(caught.value)
