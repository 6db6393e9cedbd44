"""A run is made again from what MLflow has of it, and said to be identical or not."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from mlflow import MlflowClient
from reproduced import in_artifact
from runs import QUICK, Recorder, artifacts_of, history, logged, read

import mlrun
from mlrun.finished.reproduce import reproduce
from mlrun.training.state import TrainingState

Command = Callable[..., tuple[int, str, str]]


class InterruptsAt(Recorder):
    """Sends SIGINT to the process at a step."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def step(self, state: TrainingState, tally: object) -> None:
        if state.step == self.at:
            signal.raise_signal(signal.SIGINT)


def other_outcome(run_id: str) -> None:
    """Has a run appear to have come to something else."""
    file = artifacts_of(run_id) / "predictions" / "test.npz"
    with np.load(file) as archive:
        arrays = dict(archive)
    np.savez(file, **{**arrays, "logits": -arrays["logits"]})
    MlflowClient().set_tag(run_id, "mlrun.weights_sha256", "0" * 64)


def test_a_run_that_is_made_again_is_identical_and_points_to_the_first(
    finished: str, command: Command
) -> None:
    code, stdout, stderr = command("reproduce", finished[:8])
    assert code == 0
    assert "Warning" not in stderr
    lines = stdout.splitlines()
    assert lines[-2] == f"identical: run {finished[:8]} is reproduced"
    assert lines[1].startswith("metrics: all 16 rows of 7 equal")
    first, second = logged(finished).data, logged(lines[-1]).data
    assert second.tags["mlrun.reproduces"] == finished
    assert second.tags["mlrun.reproduction"] == lines[-2]
    assert second.tags["mlrun.weights_sha256"] == first.tags["mlrun.weights_sha256"]
    assert second.params == first.params
    assert history(finished, "val/loss") == history(lines[-1], "val/loss")


def test_what_was_evaluated_afterwards_is_not_compared(finished: str, command: Command) -> None:
    for more in (["--rotate", "5"], ["--part", "train"]):
        assert command("evaluate", finished, *more)[0] == 0
    code, stdout, _ = command("reproduce", finished, "--quiet")
    assert (code, "identical: " in stdout) == (0, True)


@pytest.mark.parametrize(
    ("path", "old", "new", "told"),
    [
        ("environment.txt", "^numpy==.*", "numpy==1.0", "package numpy: 1.0, now "),
        ("environment.txt", "^rich==.*", "rich==0.1", "other package rich: 0.1, now "),
        ("environment.txt", "^pluggy==.*", "gone==1", "other package gone: 1, now not there"),
        ("environment.txt", "^code mlrun .*", "code mlrun 0123", "code mlrun: 0123, now "),
        ("environment.txt", "^processor .*", "processor Z80", "device processor: Z80, now "),
    ],
)
def test_the_first_input_that_changed_is_named_before_and_after(
    finished: str, command: Command, path: str, old: str, new: str, told: str
) -> None:
    in_artifact(finished, path, old, new)
    other_outcome(finished)
    code, stdout, stderr = command("reproduce", finished, "--quiet")
    assert code == 1
    assert f"changed since run {finished[:8]}: {told}" in stderr
    what = told.partition(":")[0]
    assert stdout.splitlines()[-2].startswith(f"differs, because {what} changed: ")


@pytest.mark.parametrize(
    ("tag", "told"),
    [
        ("mlrun.threads", "device threads: 4096, now "),
        ("mlrun.device", "device: 4096, now cpu"),
        ("mlrun.model", "plugin model: 4096, now mlrun-models/cnn from "),
        ("mlrun.version", "code version: 4096, now "),
        ("mlflow.source.git.commit", "git commit: 4096"),
    ],
)
def test_an_input_of_the_tags_that_changed_is_told_and_is_no_fault_of_an_identical_run(
    finished: str, command: Command, tag: str, told: str
) -> None:
    if tag not in logged(finished).data.tags:
        pytest.skip("the tests run outside of git")
    MlflowClient().set_tag(finished, tag, "4096")
    code, stdout, stderr = command("reproduce", finished, "--quiet")
    assert (code, "identical: " in stdout) == (0, True)
    assert told in stderr


def test_where_nothing_is_known_to_have_changed_it_is_said(finished: str, command: Command) -> None:
    other_outcome(finished)
    code, stdout, stderr = command("reproduce", finished, "--quiet")
    assert (code, stderr) == (1, "")
    assert (
        "differs, because of nothing that is known: package, setting, data, plugin, code and "
        "device are as they were\n"
    ) in stdout
    assert "test predictions: 360 of 360 differ (100.00%)" in stdout
    (artifacts_of(finished) / "environment.txt").unlink()
    MlflowClient().delete_tag(finished, "mlflow.source.git.commit")
    code, stdout, _ = command("reproduce", finished, "--quiet")
    assert code == 1
    assert "are as they were; the run did not record: package, code\n" in stdout


@pytest.mark.slow
def test_a_plainer_processor_comes_to_the_same_within_rounding(store: str) -> None:
    first = mlrun.train({"epochs": 1, "visualisers": "none", "log_model": False}).run_id
    done = subprocess.run(
        [sys.executable, "-m", "mlrun", "reproduce", first, "--quiet"],
        env={**os.environ, "ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert re.search("^(identical|within tolerance): ", done.stdout, re.MULTILINE)
    if "(DEFAULT)" not in read(first, "environment.txt").decode():
        assert "device processor: " in done.stderr


@pytest.mark.parametrize("step", [2, 60])  # before its first state, and after it
def test_a_reproduction_that_is_interrupted_is_resumed_by_steps_not_by_its_clock(
    store: str, step: int
) -> None:
    clock = {**QUICK, "epochs": 1000, "time_limit": 0.003}
    whole = mlrun.train({**QUICK, "epochs": 1000, "steps": 90}).run_id
    first = mlrun.train(clock).run_id
    client = MlflowClient()
    client.set_tag(first, "mlrun.steps", "90")  # as on a machine of another speed
    client.set_tag(first, "mlrun.weights_sha256", logged(whole).data.tags["mlrun.weights_sha256"])
    with pytest.raises(KeyboardInterrupt):
        reproduce(first, progress=InterruptsAt(step))
    (run,) = [r for r in client.search_runs(["0"]) if r.info.status == "KILLED"]
    assert mlrun.resume(run.info.run_id).run_id == run.info.run_id
    tags = logged(run.info.run_id).data.tags
    assert tags["mlrun.steps"] == "90"
    assert "mlrun.stopped" not in tags
    assert tags["mlrun.weights_sha256"] == logged(whole).data.tags["mlrun.weights_sha256"]


def test_a_run_with_a_time_limit_is_made_again_by_its_steps(store: str) -> None:
    clock = {**QUICK, "epochs": 1000, "schedule": "cosine", "time_limit": 0.003}
    first = mlrun.train(clock).run_id
    assert logged(first).data.tags["mlrun.stopped"].startswith("time limit")
    second = reproduce(first)
    assert second.agreement.word == "identical"
    third = reproduce(second.run.run_id)
    assert third.agreement.word == "identical"
    steps = {logged(run_id).data.tags["mlrun.steps"] for run_id in (first, third.run.run_id)}
    assert len(steps) == 1
    MlflowClient().delete_tag(first, "mlrun.steps")
    with pytest.raises(mlrun.MlrunError, match=r"stopped by its time limit, and mlrun .* steps"):
        reproduce(first)


def test_what_a_run_took_over_is_taken_over_again(store: str, command: Command) -> None:
    start = mlrun.train({**QUICK, "seed": 3}).run_id
    more: dict[str, object] = {
        "init_from": start[:8],
        "tags": "team=blue,why=a test",
        "experiment": "others",
        "run_name": "mine",
        "sync_wait": 5,
        "test_variants": "rotate=25",
        "log_every": 10,
        "recipe": "digits",
        "epochs": 2,
    }
    first = mlrun.train({**QUICK, **more}).run_id
    result = reproduce(first)
    assert (result.agreement.word, result.changed) == ("identical", ())
    one, two = logged(first), logged(result.run.run_id)
    assert one.info.experiment_id == two.info.experiment_id != "0"
    assert one.info.run_name == two.info.run_name == "mine"
    own = ("mlrun.reproduces", "mlrun.reproduction", "mlflow.runColor")
    kept = {n: t for n, t in two.data.tags.items() if n not in own and "git" not in n}
    assert kept == {n: one.data.tags.get(n) for n in kept}
    assert one.data.params == two.data.params
    MlflowClient().delete_run(start)
    code, _, stderr = command("reproduce", first)
    assert (code, f"init_from: run {start} was deleted" in stderr) == (2, True)


def test_a_run_that_stopped_early_stops_again(store: str) -> None:
    early = {**QUICK, "epochs": 30, "early_stopping": 1, "lr": 0.3}
    first = mlrun.train(early).run_id
    again = reproduce(first)
    assert again.agreement.word == "identical"
    stopped = [logged(i).data.tags.get("mlrun.stopped") for i in (first, again.run.run_id)]
    assert stopped[0] == stopped[1]
    assert stopped[0]


def test_a_run_of_an_untrained_network_is_made_again(store: str) -> None:
    first = mlrun.train({**QUICK, "epochs": 0, "validation": "test"}).run_id
    assert reproduce(first).agreement.word == "identical"


def test_an_option_that_is_given_counts_as_changed(finished: str, command: Command) -> None:
    code, stdout, stderr = command("reproduce", finished, "--quiet", "--model.channels", "2")
    assert code == 1
    assert "changed since run" in stderr
    assert "differs, because setting model.channels changed: 4, now 2\n" in stdout


def test_params_are_read_from_the_settings_as_mlflow_run_may_write_them_otherwise(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = MlflowClient()
    first = client.create_run("0").info.run_id
    client.log_param(first, "lr", "2e-3")
    monkeypatch.setenv("MLFLOW_RUN_ID", first)
    assert mlrun.train({**QUICK, "lr": "2e-3"}).run_id == first
    assert logged(first).data.params["lr"] == "2e-3"
    assert reproduce(first).changed == ()


def test_as_many_threads_are_used_as_the_run_had(finished: str, command: Command) -> None:
    if (os.cpu_count() or 1) < 2:
        pytest.skip("one processor has one thread")
    MlflowClient().set_tag(finished, "mlrun.threads", "2")
    stdout = command("reproduce", finished, "--quiet")[1]
    assert logged(stdout.splitlines()[-1]).data.tags["mlrun.threads"] == "2"


def test_no_text_of_a_store_does_anything_to_the_terminal(finished: str, command: Command) -> None:
    MlflowClient().set_tag(finished, "mlrun.device_name", "\x1b[2Jcpu\nError: none")
    _, _, stderr = command("reproduce", finished, "--quiet")
    assert r"device name: \x1b[2Jcpu\nError: none, now cpu" in stderr
