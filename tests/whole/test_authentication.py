"""A run behind MLflow's own basic authentication: nothing of the password is left anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from runs import QUICK

from benchmarks.reliability.stores import Server, in_address, served
from mlrun import train
from mlrun.record import leftovers, opening
from mlrun.record.journal_files import EVENTS

pytestmark = pytest.mark.slow

USER, PASSWORD = "ann", "pa55/of@ann:bee"
HIDDEN = [PASSWORD.encode(), in_address(USER, PASSWORD).encode()]
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Server]:
    pytest.importorskip("flask_wtf", reason="pip install 'mlflow[auth]'")
    folder = tmp_path_factory.mktemp("authentication") / "server"
    with served(folder, empty_database, USER, PASSWORD) as server:
        yield server


@pytest.fixture(params=["by address", "by variables"])
def way(
    request: pytest.FixtureRequest, server: Server, home: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """How the run is told the password; the store in use is the server."""
    bare = f"http://127.0.0.1:{server.port}"
    monkeypatch.delenv("MLFLOW_TRACKING_USERNAME", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_PASSWORD", raising=False)
    if request.param == "by address":
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.address)
    else:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", bare)
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", USER)
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    return str(request.param)


def test_a_run_is_whole_and_the_password_is_in_no_file(
    way: str, server: Server, tmp_path: Path, told: Callable[[], str]
) -> None:
    run = train({**QUICK, "log_model": True})
    assert (run.failures, run.unsent) == ({}, 0)
    logged = MlflowClient().get_run(run.run_id)
    assert logged.info.status == "FINISHED"
    assert "checkpoints" in {f.path for f in MlflowClient().list_artifacts(run.run_id)}
    assert PASSWORD not in told() + run.link + run.comparison_link + run.report_link
    files = [path for top in (server.folder, tmp_path) for path in top.rglob("*")]
    for path in filter(Path.is_file, files):
        assert not any(form in path.read_bytes() for form in HIDDEN), path


def test_what_is_left_is_sent_with_the_password_of_who_sends(
    way: str, server: Server, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = opening.open_run("left", None, {})
    tracker.close("FINISHED", wait=0)
    tracker.settle()
    assert tracker.left
    journal = tracker.journal.folder / EVENTS
    assert not any(form in journal.read_bytes() for form in HIDDEN)
    with monkeypatch.context() as without:
        for name in ("USERNAME", "PASSWORD"):
            without.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
        without.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.port}")
        code, _, err = command("sync", tracker.run_id)
        assert code == 1
        assert err.endswith(
            "it does not take the user and password, or lacks them; set "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD\n"
        )
        assert err.count("\n") == 1
    (folder,) = leftovers.unsent_runs([tracker.run_id])
    assert leftovers.send(folder, 20).left == 0
