"""A network that is slow: every request waits before it goes on to the server."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

STARTING = 120  # seconds that MLflow's server may take


@contextmanager
def mlflow_server(folder: Path) -> Iterator[int]:
    """Runs MLflow's server on SQLite, artifacts and all; yields its port on 127.0.0.1."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--port", str(port)]
    store = ["--backend-store-uri", f"sqlite:///{folder}/server.db"]
    files = ["--artifacts-destination", str(folder / "artifacts")]
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", *store, *files],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        await_answer(port)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def await_answer(port: int) -> None:
    """Waits until the server answers; raises RuntimeError if it does not."""
    deadline = time.monotonic() + STARTING
    while time.monotonic() < deadline:
        with (
            suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5),
        ):
            return
        time.sleep(0.5)
    raise RuntimeError(f"MLflow's server did not answer within {STARTING} s")


def free_port() -> int:
    """Returns a port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


@contextmanager
def delayed(port: int, delay: float) -> Iterator[int]:
    """Listens on a port of 127.0.0.1, which it yields, and hands all on to `port`.

    What a client sends reaches the server `delay` seconds later, as over a line of that length;
    the answers come at once. So a request takes `delay` longer, on a kept connection too.
    """
    with socket.create_server(("127.0.0.1", 0)) as entry:
        thread = threading.Thread(target=accept, args=(entry, port, delay), daemon=True)
        thread.start()
        yield entry.getsockname()[1]


def accept(entry: socket.socket, port: int, delay: float) -> None:
    """Gives every connection two threads that carry what comes."""
    with suppress(OSError):  # the entry was closed
        while True:
            client, _ = entry.accept()
            server = socket.create_connection(("127.0.0.1", port))
            for line in (client, server):
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            asked = threading.Event()  # a request is on its way, and has waited
            for source, sink, wait in ((client, server, delay), (server, client, 0.0)):
                ends = (source, sink, wait, asked)
                threading.Thread(target=carry, args=ends, daemon=True).start()


def carry(source: socket.socket, sink: socket.socket, delay: float, asked: threading.Event) -> None:
    """Hands on what comes: of a request its first part waits, an answer makes way for the next."""
    with suppress(OSError):
        while some := source.recv(65536):
            if not delay:
                asked.clear()
            elif not asked.is_set():
                time.sleep(delay)
                asked.set()
            sink.sendall(some)
        sink.shutdown(socket.SHUT_WR)
