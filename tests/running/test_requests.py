"""What a run asks of a tracking server, and what of that waits for what: MLflow's own server."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient
from runs import QUICK

import mlrun
from benchmarks.reliability.proxy import Proxy

LIMIT = 15.0  # seconds: for what must come; MLflow waits for 20
SERVER = """
import mlflow.server
from werkzeug.serving import make_server

server = make_server("127.0.0.1", 0, mlflow.server.app, threaded=True)
print(server.port, flush=True)
server.serve_forever()
"""


class Watched(Proxy):
    """Notes what is asked for; answers some of it only once each of these requests has come."""

    def __init__(self, behind: int) -> None:
        super().__init__(behind)
        self.asked: list[str] = []
        self.alone: list[str] = []
        self._together: dict[str, threading.Event] = {}

    def hold(self, *requests: str) -> None:
        """Forgets what was asked for; answers none of these before all of them are waiting.

        One for which the others did not come is noted as alone.
        """
        self.asked.clear()
        self._together = {request: threading.Event() for request in requests}

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.partition("?")[0].removeprefix("/api/2.0").removeprefix("/mlflow")
        if path.startswith("-artifacts"):
            path = f"/model/{Path(path).name}" if "/models/" in path else "/file"
        what = f"{request.command} {path[1:]}"
        self.asked.append(what)
        if what in self._together:
            self._together[what].set()
            if not all(come.wait(LIMIT) for come in self._together.values()):
                self.alone.append(what)
        super().answer(request)


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[int]:
    """The port of MLflow's server, artifacts and all."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(empty_database, folder)
    settings = {
        "_MLFLOW_SERVER_FILE_STORE": "sqlite:///mlflow.db",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(folder / "files"),
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
    }
    command = [sys.executable, "-c", SERVER]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(command, cwd=folder, env={**os.environ, **settings}, **pipes) as server:  # type: ignore[call-overload]  # `text` is among the pipes
        try:
            yield int(server.stdout.readline())
        finally:
            server.kill()


@pytest.fixture
def served(port: int, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    """The server in use, with an experiment `served` of its own."""
    proxy = Watched(port)
    thread = threading.Thread(target=proxy.server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{proxy.port}")
    client = MlflowClient()
    if client.get_experiment_by_name("served") is None:
        client.create_experiment("served", "mlflow-artifacts:/served")
    try:
        yield proxy
    finally:
        proxy.server.shutdown()
        proxy.server.server_close()
        thread.join(LIMIT)


def test_a_run_is_opened_in_two_round_trips_and_asks_for_nothing_later(served: Watched) -> None:
    served.hold("GET health", "GET experiments/get-by-name")
    run = mlrun.train({**QUICK, "experiment": "served"})
    assert (run.unsent, served.alone) == (0, [])
    assert set(served.asked[:2]) == {"GET experiments/get-by-name", "GET health"}
    assert served.asked[2] == "POST runs/create"
    once = ("POST runs/search", "POST runs/set-tag", "POST runs/update")  # colours, the run's end
    assert [served.asked.count(request) for request in once] == [1, 1, 1]
    logged = {"POST runs/log-batch", "POST runs/log-inputs", "PUT file"}
    assert set(served.asked[3:]) == {*logged, *once}
    assert served.asked[-1] == "POST runs/update"


def test_a_run_that_mlflow_opened_is_taken_over_without_another_question(
    served: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = MlflowClient().get_experiment_by_name("served").experiment_id
    waiting = MlflowClient().create_run(experiment, run_name="bold-cat-12").info.run_id
    served.hold("GET health", "GET runs/get")
    monkeypatch.setenv("MLFLOW_RUN_ID", waiting)
    run = mlrun.train({**QUICK, "run_name": "mine"})
    assert (run.run_id, run.name, run.unsent) == (waiting, "mine", 0)
    searched = {"GET experiments/get", "GET health", "GET runs/get"}
    assert set(served.asked[:3]) == searched
    assert not {*searched, "POST runs/create"} & set(served.asked[3:])
    assert served.asked.count("POST runs/update") == 1  # its end
    assert MlflowClient().get_run(waiting).info.run_name == "mine"


def test_the_files_of_a_model_go_side_by_side(served: Watched) -> None:
    served.hold(*(f"PUT model/{name}" for name in ("MLmodel", "conda.yaml", "model.pt2")))
    run = mlrun.train({**QUICK, "experiment": "served", "log_model": True})
    assert (run.unsent, served.alone) == (0, [])
    assert mlflow.pytorch.load_model(f"runs:/{run.run_id}/model")
