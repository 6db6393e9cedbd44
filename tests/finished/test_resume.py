"""mlrun resume: a run that ended too early goes on in the same MLflow run, as if it had not."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from killed import killed
from mlflow import MlflowClient
from resumed import BREAKS, DRAWN, Interrupts, interrupted, same, weights_of
from runs import QUICK, Recorder, artifacts, artifacts_of, logged, plugin, read, steps

import mlrun
from benchmarks.reliability.contents import Contents, contents
from mlrun import RunFailed
from mlrun.finished.plan_again import plan_again
from mlrun.record.folders import run_folder
from mlrun.record.logged import find_run
from mlrun.record.reopening import send_rest

Command = Callable[..., tuple[int, str, str]]
LAST = 51  # steps of it


@pytest.fixture
def whole(store: str) -> str:
    """The id of an undisturbed run."""
    return mlrun.train(DRAWN).run_id


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("step", 31),
        pytest.param("step", 2, marks=pytest.mark.slow),
        pytest.param("step", 20, marks=pytest.mark.slow),
        pytest.param("step", LAST, marks=pytest.mark.slow),
        pytest.param("epoch", 2, marks=pytest.mark.slow),
        pytest.param("note", "test", marks=pytest.mark.slow),
        # within an evaluation, a checkpoint's writing, the confirmation of a state, a picture, the
        # end of the run
        pytest.param("mlrun.preparing:prepared.evaluate", 5, marks=pytest.mark.slow),
        pytest.param("mlrun.training.checkpoints:os.fsync", 9, marks=pytest.mark.slow),
        pytest.param("mlrun.training.state_files:Path.replace", 4, marks=pytest.mark.slow),
        pytest.param("mlrun.running.picture_log:PictureLog._log", 7, marks=pytest.mark.slow),
        pytest.param("mlrun.record.tracking:Tracker.close", 1, marks=pytest.mark.slow),
    ],
)
def test_a_killed_run_goes_on_and_ends_as_if_it_had_not_been(
    kind: str, place: object, store: str, whole: str
) -> None:
    run_id = killed(DRAWN, kind, place)
    assert logged(run_id).info.status == "RUNNING"
    told = Recorder()
    run = mlrun.resume(run_id, progress=told)
    assert (run.run_id, run.failures) == (run_id, {})
    assert any(line.startswith("goes on from ") for line in told.lines)
    same(store, run_id, whole)
    assert not run_folder(run_id).exists()


@pytest.mark.parametrize(
    "call",
    [
        "mlrun.record:opening.tracker_of",
        pytest.param("mlrun.record:journal.Lines", marks=pytest.mark.slow),
    ],
)
def test_one_that_is_killed_while_it_is_opened_begins_again(call: str, store: str) -> None:
    settings = {**QUICK, "epochs": 2}
    whole = mlrun.train(settings).run_id
    run_id = killed(settings, call, 1)
    assert not artifacts(run_id)
    mlrun.resume(run_id)
    same(store, run_id, whole)


def test_an_interrupted_run_goes_on_from_the_very_step(store: str, whole: str) -> None:
    run_id = interrupted(DRAWN, 31)
    assert logged(run_id).info.status == "KILLED"
    assert logged(run_id).data.tags["mlrun.reason"] == "interrupted (SIGINT)"
    told = Recorder()
    mlrun.resume(run_id[:8], progress=told)
    assert "goes on from within epoch 2, step 31" in told.lines
    tags = logged(run_id).data.tags
    assert tags["mlrun.resumed"] == "within epoch 2, step 31"
    assert (tags["mlrun.status"], "mlrun.reason" in tags) == ("FINISHED", False)
    same(store, run_id, whole)


@pytest.mark.slow
def test_one_whose_folder_is_lost_goes_on_from_what_mlflow_has(store: str, whole: str) -> None:
    run_id = interrupted(DRAWN, 31)
    shutil.rmtree(run_folder(run_id))
    told = Recorder()
    mlrun.resume(run_id, progress=told)
    assert "goes on from within epoch 2, step 31" in told.lines
    same(store, run_id, whole)


def test_a_damaged_state_is_named_and_the_one_before_it_used(store: str) -> None:
    settings = {**QUICK, "epochs": 3, "checkpoint_every": "2 steps"}
    whole = mlrun.train(settings).run_id
    run_id = interrupted(settings, 30)
    (run_folder(run_id) / "last.pt").write_bytes(b"damaged")
    told = Recorder()
    mlrun.resume(run_id, progress=told)
    (line,) = [line for line in told.lines if "damaged" in line]
    assert line.startswith(f"the state {run_folder(run_id)}/last.pt is damaged (")
    same(store, run_id, whole)


def test_a_run_of_an_older_version_keeps_the_params_that_it_began_with(store: str) -> None:
    run_id = killed(QUICK, "epoch", 1)
    send_rest(run_id, print)
    page = artifacts_of(run_id) / "settings.yaml"
    kept = [line for line in page.read_text().splitlines(True) if "sync_batch_norm" not in line]
    page.write_text("".join(kept))
    with closing(sqlite3.connect(store.removeprefix("sqlite:///"))) as database, database:
        database.execute("DELETE FROM params WHERE key = 'sync_batch_norm'")
    run = mlrun.resume(run_id)
    assert "sync_batch_norm" not in logged(run.run_id).data.params
    MlflowClient().update_run(run_id, "KILLED")
    assert plan_again(find_run(run_id)).settings.sync_batch_norm is False


def test_a_run_that_is_interrupted_twice_goes_on_twice(store: str) -> None:
    settings = {**QUICK, "epochs": 3, "log_every": 1, "system_metrics": True}
    whole = mlrun.train({**settings, "system_metrics": False}).run_id
    run_id = interrupted(settings, 7)
    with pytest.raises(KeyboardInterrupt):
        mlrun.resume(run_id, progress=Interrupts(50))
    assert logged(run_id).info.status == "KILLED"
    mlrun.resume(run_id)
    assert weights_of(run_id) == weights_of(whole)
    assert steps(run_id, "step/loss") == steps(whole, "step/loss")
    samples = steps(run_id, "system/cpu_utilization_percentage")
    assert samples == list(range(len(samples)))
    assert logged(run_id).data.tags["mlrun.resumed"] == (
        "within epoch 1, step 7; within epoch 2, step 50"
    )


def test_a_run_that_failed_goes_on_from_its_last_state(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = plugin(tmp_path, BREAKS)
    settings = {**QUICK, "model": "breaks", "plugin": file, "checkpoint_every": "4 steps"}
    del settings["model.widths"]
    whole = mlrun.train(settings).run_id
    monkeypatch.setenv("BREAKS", "14")
    with pytest.raises(RunFailed, match="the step did not fit") as failed:
        mlrun.train(settings)
    told = Recorder()
    mlrun.resume(failed.value.run_id, progress=told)
    assert "goes on from within epoch 1, step 12" in told.lines
    same(store, failed.value.run_id, whole)


def test_a_finished_run_goes_on_for_longer_as_a_new_one(store: str) -> None:
    longer = mlrun.train({**QUICK, "epochs": 4, "keep": 1})
    short = mlrun.train({**QUICK, "steps": 60, "keep": 1})  # within the second epoch
    told = Recorder()
    run = mlrun.resume(short.run_id, longer={"epochs": 4}, progress=told)
    assert run.run_id != short.run_id
    assert logged(run.run_id).data.tags["mlrun.continues"] == short.run_id
    assert f"goes on from within epoch 2, step 60, of run {short.run_id}" in told.lines
    assert weights_of(run.run_id) == weights_of(longer.run_id)
    assert logged(run.run_id).data.params["epochs"] == "4"
    assert steps(run.run_id, "val/loss") == [2, 3, 4]
    assert run.best_epoch == longer.best_epoch
    assert run.metrics["test/loss"] == longer.metrics["test/loss"]
    assert logged(short.run_id).info.status == "FINISHED"
    # and its weights may stay the best
    again = mlrun.resume(longer.run_id, longer={"epochs": 5})
    assert artifacts(again.run_id, "checkpoints") == [f"epoch-{again.best_epoch}.pt", "last.pt"]


def test_one_that_went_on_for_longer_and_is_killed_before_its_first_state_begins_there_again(
    store: str,
) -> None:
    short = mlrun.train({**QUICK, "steps": 60, "keep": 1}).run_id
    whole = mlrun.resume(short, longer={"epochs": 3}).run_id
    with pytest.raises(KeyboardInterrupt):
        mlrun.resume(short, longer={"epochs": 3}, progress=Interrupts(70))
    run_id = MlflowClient().search_runs(["0"])[0].info.run_id
    for name in ("last.pt", "previous.pt"):
        (run_folder(run_id) / name).unlink(missing_ok=True)
    (artifacts_of(run_id) / "checkpoints" / "last.pt").unlink()
    told = Recorder()
    mlrun.resume(run_id, progress=told)
    assert f"goes on from within epoch 2, step 60, of run {short}" in told.lines
    same(store, run_id, whole)


def test_another_place_of_the_run_keeps_the_table_of_tables(store: str) -> None:
    settings = {**QUICK, "epochs": 2, "visualisers": "misclassified"}
    run_id = interrupted(settings, 60)
    mlrun.resume(run_id)
    assert b"class" in read(run_id, "tables/per-class.json")
    found: Contents = contents(store, run_id)
    assert found.status == "FINISHED with an end"
