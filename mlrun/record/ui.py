"""MLflow's UI on the store in use."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable

import requests

from mlrun.errors import MlrunError, one_line
from mlrun.record import links, opening

SERVER = (
    "import json, os, runpy, signal, sys; sys.path[:] = json.loads(sys.argv.pop(1)); "
    "from mlrun.machine.workers import end_with; "
    "end_with(int(sys.argv.pop(1)), lambda: os.killpg(0, signal.SIGTERM)); "
    "runpy.run_module('mlflow', run_name='__main__', alter_sys=True)"
)
START = 120.0  # seconds: how long MLflow's server may take to start


def serve(*, port: int, experiment: str | None, ready: Callable[[str], None]) -> None:
    """Starts MLflow's server and waits until it ends; calls `ready` with the link.

    Args:
        port: on 127.0.0.1; the next free one is taken if it is in use.
        experiment: the experiment to link to; None is MLflow's own.
        ready: called once, when the page can be opened.

    Raises:
        MlrunError: the experiment does not exist, no port is free, or the server ends.
    """
    uri, experiment_id, view = opening.locate(experiment)
    if uri.startswith(("http://", "https://")):
        ready(links.comparison_link(links.ui_base(uri), experiment_id, view))
        return
    port = free_port(port)
    command = [
        sys.executable,
        "-P",
        "-c",
        SERVER,
        json.dumps(sys.path),
        str(os.getpid()),
        "server",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    environment = {**os.environ, "MLFLOW_BACKEND_STORE_URI": uri}  # no password on a command line
    try:
        server = subprocess.Popen(
            command, env=environment, stdout=sys.stderr, start_new_session=True
        )
    except OSError as error:
        raise MlrunError(f"MLflow's server cannot be started ({one_line(error)})") from None
    try:
        base = f"http://127.0.0.1:{port}"
        wait_for(base, server)
        ready(links.comparison_link(base, experiment_id, view))
        server.wait()
    finally:
        stop(server)
    raise MlrunError(f"MLflow's server ended with exit code {server.returncode}")


def free_port(port: int) -> int:
    """Returns `port`, or the first free one of the 20 after it."""
    for candidate in range(port, min(port + 21, 65536)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            return candidate
    raise MlrunError(f"ports {port} to {port + 20} are in use; give another --port")


def wait_for(base: str, server: subprocess.Popen[bytes]) -> None:
    """Waits until the server answers."""
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise MlrunError(f"MLflow's server ended with exit code {server.returncode}")
        try:
            if requests.get(f"{base}/health", timeout=2).ok:
                return
        except requests.RequestException:
            time.sleep(0.2)
    raise MlrunError(f"MLflow's server did not start within {START:.0f} s")


def stop(server: subprocess.Popen[bytes]) -> None:
    """Ends the server and its workers."""
    if server.poll() is not None:
        return
    os.killpg(server.pid, signal.SIGTERM)
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
