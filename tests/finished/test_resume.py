"""mlrun resume: a run that ended too early goes on in the same MLflow run, as if it had not."""

from __future__ import annotations

import os
import platform
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from killed import killed
from lost import journal_of, opened
from mlflow import MlflowClient
from runs import QUICK, Recorder, artifacts, artifacts_of, logged, plugin, read, steps

import mlrun
from benchmarks.reliability.contents import Contents, contents, difference
from mlrun import RunFailed
from mlrun.record.folders import run_folder
from mlrun.training.state import TrainingState

Command = Callable[..., tuple[int, str, str]]
DRAWN: dict[str, object] = {  # all that is drawn by chance, and pictures of each epoch
    "model": "cnn",
    "model.channels": "4",
    "subset": 300,
    "batch_size": 16,
    "epochs": 3,
    "mixup": 0.2,
    "ema": 0.9,
    "rotate": 10,
    "schedule": "cosine",
    "evaluate_every": "10 steps",
    "log_every": 3,
    "checkpoint_every": "4 steps",
    "visualisers": "weights,weight-statistics",
    "keep": 1,
    "threads": 1,
    "device": "cpu",
}
LAST = 51  # steps of it


class Interrupts(Recorder):
    """Sends SIGINT to the process at a step."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def step(self, state: TrainingState, tally: object) -> None:  # type: ignore[override]  # Recorder takes anything
        if state.step == self.at:
            os.kill(os.getpid(), signal.SIGINT)


def interrupted(settings: dict[str, object], at: int) -> str:
    with pytest.raises(KeyboardInterrupt):
        mlrun.train(settings, progress=Interrupts(at))
    run_id: str = MlflowClient().search_runs(["0"])[0].info.run_id
    return run_id


def same(store: str, run_id: str, whole: str) -> None:
    """Asserts that the store has the same of both runs, but for what a clock decides."""
    differ = difference(*(contents(store, one) for one in (run_id, whole)))
    for things in (differ.lost, differ.extra):  # which differ where pytest is started otherwise
        for thing in [thing for thing in things if "mlflow.source.name" in thing]:
            del things[thing]
    assert (dict(differ.lost), dict(differ.extra)) == ({}, {})
    assert logged(run_id).data.tags["mlrun.weights_sha256"] == weights_of(whole)


def weights_of(run_id: str) -> str:
    digest: str = logged(run_id).data.tags["mlrun.weights_sha256"]
    return digest


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


BREAKS = """
import os
import torch
import mlrun

class Breaks(torch.nn.Linear):
    def forward(self, images):
        if self.training and os.environ.get("BREAKS"):
            os.environ["BREAKS"] = str(int(os.environ["BREAKS"]) - 1)
            if os.environ["BREAKS"] == "0":
                del os.environ["BREAKS"]
                raise MemoryError("the step did not fit")
        return super().forward(images.flatten(1))

@mlrun.hookimpl
def register_models(register):
    def breaks(shape, classes):
        return Breaks(shape[1] * shape[2], classes)
    register(breaks)
"""


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


def test_a_plugin_file_that_was_changed_is_not_executed_unless_it_is_named(
    store: str, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = plugin(tmp_path, BREAKS)
    settings = {**QUICK, "model": "breaks", "plugin": file}
    del settings["model.widths"]
    monkeypatch.setenv("BREAKS", "14")
    with pytest.raises(RunFailed) as failed:
        mlrun.train(settings)
    run_id = failed.value.run_id
    Path(file).write_text(BREAKS.replace("flatten(1)", "flatten(1) * 2"))
    code, _, told = command("resume", run_id)
    assert (code, told.count("\n")) == (2, 1)
    assert "was not run on this machine as it is now" in told
    code, _, told = command("resume", run_id, "--plugin", file)
    assert code == 0, told
    assert f"Warning: changed since run {run_id[:8]}: plugin mine.py: " in told


def test_other_data_are_named(store: str, tmp_path: Path) -> None:
    from runs import OTHERS

    file = plugin(tmp_path, OTHERS)
    settings = {**QUICK, "dataset": "others", "plugin": file, "dataset.size": 8, "batch_size": 4}
    run_id = interrupted(settings, 5)
    Path(file).write_text(OTHERS.replace("% 251", "% 249"))
    told = Recorder()
    mlrun.resume(run_id, plugins=[Path(file)], progress=told)
    assert any("the data of train are others than before" in line for line in told.lines)
    assert "mlrun.changed.train-data" in logged(run_id).data.tags


def test_another_device_and_other_packages_are_named(store: str) -> None:
    run_id = interrupted({**QUICK, "epochs": 2}, 30)
    MlflowClient().set_tag(run_id, "mlrun.device", "cuda:0")
    told = Recorder()
    mlrun.resume(run_id, progress=told)
    assert f"changed since run {run_id[:8]}: device: cuda:0, now cpu" in told.lines
    assert "with that it may come to other bits than it would have" in told.lines
    MlflowClient().set_tag(run_id, "mlrun.device", "cuda:1")
    told = Recorder()
    mlrun.resume(run_id, longer={"epochs": 3}, progress=told)
    assert f"changed since run {run_id[:8]}: device: cuda:1, now cpu" in told.lines


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


@pytest.mark.parametrize(
    ("settings", "options", "said"),
    [
        ({}, (), "is finished; it can go on for longer, as a new run: mlrun resume "),
        ({}, ("--epochs", "1"), "has trained for 41 steps, 1 epochs; give more: --epochs 2"),
        ({}, ("--epochs", "no"), "epochs: expected a whole number"),
        ({"schedule": "cosine"}, ("--epochs", "3"), "its schedule cosine has arrived at its end"),
        ({}, ("--lr", "0.1"), "--lr: a run goes on with the settings that it has"),
        ({}, ("--frobnicate", "1"), "--frobnicate"),
    ],
)
def test_what_cannot_go_on_is_refused_in_one_line(
    settings: dict[str, object], options: tuple[str, ...], said: str, store: str, command: Command
) -> None:
    run_id = mlrun.train({**QUICK, **settings}).run_id
    code, out, told = command("resume", run_id, *options)
    assert (code, out, told.count("\n")) == (2, "", 1)
    assert said in told
    assert len(MlflowClient().search_runs(["0"])) == 1


def test_a_run_that_lasts_or_is_not_finished_is_refused(store: str, command: Command) -> None:
    lasting = opened()
    journal = journal_of(lasting, store)
    code, _, said = command("resume", lasting)
    assert (code, said.count("\n")) == (2, 1)
    assert f"run {lasting} is still going on in another process" in said
    journal.settle()

    run_id = interrupted({**QUICK, "epochs": 2, "seed": 1}, 5)
    code, _, said = command("resume", run_id, "--epochs", "3")
    assert (code, said.count("\n")) == (2, 1)
    assert "is not finished, but KILLED; epochs can be changed once it is" in said


@pytest.mark.slow
def test_one_that_may_last_on_another_machine_is_refused_unless_it_is_said_to_be_gone(
    store: str, command: Command
) -> None:
    whole = mlrun.train(QUICK).run_id
    run_id = killed(QUICK, "step", 20)
    MlflowClient().set_tag(run_id, "mlrun.host", "another")
    MlflowClient().set_tag(run_id, "mlrun.state_folder", "/elsewhere")
    shutil.rmtree(run_folder(run_id))
    MlflowClient().log_text(run_id, read(whole, "settings.yaml").decode(), "settings.yaml")
    code, _, said = command("resume", run_id)
    assert (code, said.count("\n")) == (2, 1)
    assert "it is still running on " in said
    assert f"if you know that its process is gone, go on with: mlrun resume {run_id} --gone" in said
    code, out, said = command("resume", run_id, "--gone")
    assert (code, out.strip()) == (0, run_id), said
    assert weights_of(run_id) == weights_of(whole)
    assert logged(run_id).data.tags["mlrun.host"] == platform.node()


def test_resume_auto_takes_up_the_last_unfinished_run_of_the_same_settings(
    store: str, command: Command
) -> None:
    settings = {**QUICK, "epochs": 2}
    line = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
    train: Any = ["train", *line, "--resume", "auto"]
    code, first, told = command(*train)
    assert (code, "no unfinished run of these settings: a new one is started" in told) == (0, True)
    run_id = interrupted(settings, 50)
    other = interrupted({**settings, "lr": 0.01}, 50)
    code, out, told = command(*train)
    assert (code, out.strip()) == (0, run_id)
    assert f"not resumed: run {other}, which has lr 0.01" in told
    assert "goes on from within epoch 2, step 50" in told
    assert weights_of(run_id) == weights_of(first.strip())
    code, _, told = command("train", *line, "--resume", other)
    assert code == 2
    assert f"Error: run {other} has other settings: lr 0.01" in told.splitlines()[-1]


def test_another_place_of_the_run_keeps_the_table_of_tables(store: str) -> None:
    settings = {**QUICK, "epochs": 2, "visualisers": "misclassified"}
    run_id = interrupted(settings, 60)
    mlrun.resume(run_id)
    assert b"class" in read(run_id, "tables/per-class.json")
    found: Contents = contents(store, run_id)
    assert found.status == "FINISHED with an end"
