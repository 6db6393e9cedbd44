"""Where a run goes: its experiment, which may have been deleted, and the run it is a child of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.tracking import fluent
from runs import QUICK

import mlrun
from mlrun.errors import MlrunError
from mlrun.record import opening

Command = Callable[..., tuple[int, str, str]]
DEFAULT = (
    r"experiment Default \(ID 0\) was deleted; restore it with: mlflow experiments restore "
    r"--experiment-id 0, or give another with --experiment$"
)


@pytest.fixture
def client(store: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[MlflowClient]:
    monkeypatch.setattr(fluent, "_active_experiment_id", None)  # mlflow.set_experiment sets both
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "0")
    monkeypatch.delenv("MLFLOW_EXPERIMENT_ID")
    yield MlflowClient()
    while mlflow.active_run() is not None:
        mlflow.end_run()


def opened(experiment: str | None = None) -> str:
    tracker = opening.open_run("mine", experiment, {})
    tracker.close("FINISHED")
    return tracker.run_id


def test_mlflow_s_default_experiment_that_was_deleted(client: MlflowClient) -> None:
    client.delete_experiment("0")
    for use in (opened, lambda: opening.locate(None)):
        with pytest.raises(MlrunError, match=DEFAULT):
            use()
    assert opened("another")


@pytest.mark.parametrize("name", ["named", "it's own"])
def test_a_deleted_experiment_however_it_is_named(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch, command: Command, name: str
) -> None:
    experiment = client.create_experiment(name)
    client.delete_experiment(experiment)
    message = rf"experiment {name} \(ID {experiment}\) was deleted; restore it with: mlflow exp.* "
    message += f"restore --experiment-id {experiment}, or give another with --experiment$"
    with pytest.raises(MlrunError, match=message):
        opened(name)
    with pytest.raises(MlrunError, match=message):
        opening.locate(name)
    code, _, err = command("runs", "--experiment", name)
    assert code == 2
    assert f"experiment {name} (ID {experiment}) was deleted; restore it with: mlflow" in err
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", experiment)
    with pytest.raises(MlrunError, match=message):
        opened()
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", name)
    with pytest.raises(MlrunError, match=message):
        opened()
    monkeypatch.delenv("MLFLOW_EXPERIMENT_ID")
    with pytest.raises(MlrunError, match=message):
        opened()


@pytest.mark.parametrize("given", ["77", "abc", "1 or 2", "猫"])
def test_an_experiment_id_that_there_is_not(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", given)
    with pytest.raises(MlrunError) as caught:
        opened()
    assert str(caught.value) == (
        f"MLFLOW_EXPERIMENT_ID={given}: no experiment has this ID; mlflow experiments search lists "
        "those there are"
    )


def test_an_id_and_a_name_that_do_not_agree(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "77")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "Default")
    with pytest.raises(MlrunError, match="_ID=77 is not the ID of MLFLOW_EXPERIMENT_NAME=Default"):
        opened()


def test_a_deleted_run_is_told_whatever_it_is_given_for(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    run_id = opened()
    client.delete_run(run_id)
    restore = f"run {run_id} was deleted; restore it with: mlflow runs restore --run-id {run_id}"
    for reference in (run_id, run_id[:6]):
        for arguments in (["report", reference], ["evaluate", reference]):
            code, _, err = command(*arguments)
            assert code == 2
            assert restore in err
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    with pytest.raises(MlrunError, match=restore):
        opened()


def test_a_run_that_was_deleted_with_its_experiment(client: MlflowClient, command: Command) -> None:
    run_id = opened("gone")
    experiment = client.get_experiment_by_name("gone").experiment_id
    client.delete_experiment(experiment)
    for reference in (run_id, run_id[:6]):
        code, _, err = command("report", reference)
        assert code == 2
        assert f"run {run_id} was deleted with its experiment gone; restore them with: " in err
        assert f"mlflow experiments restore --experiment-id {experiment}" in err


def test_a_run_within_an_active_run_is_its_child(client: MlflowClient) -> None:
    mlflow.set_experiment("elsewhere")
    with mlflow.start_run(experiment_id="0", run_name="mine", tags={"a": "b"}) as active:
        mlflow.log_param("lr", 3)
        parent = active.info.run_id
        before = client.get_run(parent).to_dictionary()
        first = mlrun.train({**QUICK, "log_model": True})
        second = opened("another")
        assert mlflow.active_run().info.run_id == parent
        assert client.get_run(parent).to_dictionary() == before
        assert client.list_artifacts(parent) == []
        mlflow.log_metric("after", 1.0)
    assert client.get_run(parent).info.status == "FINISHED"
    assert client.get_run(parent).data.metrics == {"after": 1.0}
    assert first.failures == {}
    homes = []
    for run_id in (first.run_id, second):
        logged = client.get_run(run_id)
        assert logged.data.tags["mlflow.parentRunId"] == parent
        assert logged.info.status == "FINISHED"
        homes.append(client.get_experiment(logged.info.experiment_id).name)
    assert homes == ["Default", "another"]
    mlflow.set_experiment("Default")
    assert "mlflow.parentRunId" not in client.get_run(opened()).data.tags


def test_a_run_that_fails_within_an_active_run_leaves_it_running(client: MlflowClient) -> None:
    with mlflow.start_run() as active:
        with pytest.raises(mlrun.RunFailed):
            mlrun.train({**QUICK, "lr": 1e30, "optimiser": "sgd", "epochs": 2})
        assert client.get_run(active.info.run_id).info.status == "RUNNING"
        assert mlflow.active_run() is active


def test_a_run_that_mlflow_run_opened_is_taken_over_within_its_own_process(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = client.create_run("0").info.run_id
    with mlflow.start_run() as active:
        monkeypatch.setenv("MLFLOW_RUN_ID", waiting)
        assert opened() == waiting
        assert "mlflow.parentRunId" not in client.get_run(waiting).data.tags
        assert mlflow.active_run() is active


def test_an_active_run_that_was_deleted_or_is_elsewhere(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, empty_database: Path
) -> None:
    with mlflow.start_run() as active:
        run_id = active.info.run_id
        client.delete_run(run_id)
        with pytest.raises(
            MlrunError, match=f"run {run_id} was deleted; restore it with: mlflow r"
        ):
            opened()
        other = tmp_path / "other.db"
        other.write_bytes(empty_database.read_bytes())
        with monkeypatch.context() as elsewhere:
            elsewhere.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{other}")
            with pytest.raises(MlrunError, match=f"active run {run_id} is not in the store in use"):
                opened()
        client.restore_run(run_id)
