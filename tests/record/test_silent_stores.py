"""Stores that say nothing, or not yet: told, waited for, and given up."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from mlflow.exceptions import MlflowException
from runs import QUICK, Recorder
from tellings import once_told
from waiting import until

from mlrun import train
from mlrun.errors import MlrunError
from mlrun.machine import calls
from mlrun.machine.interrupts import heeded
from mlrun.record import lookup, opening, waiting
from mlrun.record.waiting import Busy, check_free, refusal

Told = Callable[[], str]


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
