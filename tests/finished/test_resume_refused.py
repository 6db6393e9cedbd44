"""What mlrun resume refuses, names as changed, or takes up only where it is asked for."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from killed import killed
from lost import journal_of, opened
from mlflow import MlflowClient
from resumed import BREAKS, interrupted, weights_of
from runs import QUICK, Recorder, logged, plugin, read

import mlrun
from mlrun import RunFailed
from mlrun.record.folders import run_folder

Command = Callable[..., tuple[int, str, str]]


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
