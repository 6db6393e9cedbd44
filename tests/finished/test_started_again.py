"""Runs of several processes that are resumed, or that torchrun starts again when one is killed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from runs import TIMES, Recorder, history, only_run
from several import carried_out, ended

import mlrun

MORTAL = '''
import atexit, os, signal
import mlrun
import torch
from torch import nn

START = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
CHOSEN = os.environ.get("RANK", "0") == os.environ.get("VICTIM") and START == "0"
WHEN, AT = os.environ.get("WHEN", ""), int(os.environ.get("AT", "0"))

def come(when, at=0):
    """Ends the process that is to die, if this is when and where."""
    if CHOSEN and (when, at) == (WHEN, AT):
        os.kill(os.getpid(), signal.SIGTERM if when == "asked" else signal.SIGKILL)

come("imported")
atexit.register(come, "over")

class Mortal(nn.Module):
    """Has all that draws, or counts, as it trains."""

    trained = asked = 0  # steps of all models; whether one was evaluated then

    def __init__(self, shape, classes):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(shape[0], 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(),
            nn.Dropout(0.3), nn.Linear(144, classes),
        )

    def forward(self, images):
        Mortal.trained += self.training
        if self.training:
            come("trained", self.trained)
        elif self.trained >= 10 and not self.asked:
            Mortal.asked = 1
            come("asked")
        outputs = self.net(images)
        ill = os.environ.get("ILL_FROM")
        return outputs * float("nan") if ill and self.trained > int(ill) else outputs

def mortal(shape, classes):
    """A small convolutional network in a process that may die."""
    return Mortal(shape, classes)

@mlrun.hookimpl
def register_models(register):
    register(mortal)
'''
SETTINGS: dict[str, object] = {
    "model": "mortal",
    "subset": 300,
    "validation": 0.2,
    "batch-size": 16,
    "epochs": 3,
    "optimiser": "adam",
    "schedule": "plateau",
    "mixup": 0.2,
    "ema": 0.9,
    "rotate": 10,
    "log-every": 3,
    "evaluate-every": "10steps",
    "checkpoint-every": "4steps",
    "visualisers": "none",
    "log-model": "false",
    "threads": 1,
    "device": "cpu",
}
LINE = [f"--{name}={value}" for name, value in SETTINGS.items()]
MIDDLE = {"WHEN": "trained", "AT": "27"}


@pytest.fixture
def train(home: Path) -> list[str]:
    """The command that trains the run of these tests."""
    path = home / "mortal.py"
    path.write_text(MORTAL)
    return ["train", "--plugin", str(path), *LINE]


def came_to(run: Run) -> tuple[str, str, dict[str, list[tuple[int, float]]]]:
    """A run's status, the digest of its weights, and every row of its metrics but of times."""
    names = sorted(name for name in run.data.metrics if name not in TIMES)
    rows = {name: history(run.info.run_id, name) for name in names}
    return run.info.status, run.data.tags.get("mlrun.weights_sha256", ""), rows


def runs() -> dict[str, Run]:
    """All runs by their ids."""
    return {run.info.run_id: run for run in MlflowClient().search_runs(["0"])}


@pytest.mark.slow
@pytest.mark.parametrize(("processes", "victim"), [(2, 0), (2, 1), (4, 0), (4, 3)])
def test_one_that_is_killed_has_all_go_on_in_the_same_run(
    store: str, train: list[str], processes: int, victim: int
) -> None:
    told = carried_out(processes, train, "--max-restarts=1", VICTIM=str(victim), **MIDDLE)
    killed = only_run()
    assert told.stdout.split() == [killed.info.run_id]
    assert "goes on from within epoch 2, step " in told.stderr
    whole = carried_out(processes, train).stdout.strip()
    assert came_to(killed) == came_to(runs()[whole])
    assert killed.data.tags["mlrun.processes"] == str(processes)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 4])
@pytest.mark.parametrize("how", ["resume", "train"])
def test_a_run_is_resumed_by_as_many_processes_to_the_same_bits(
    store: str, train: list[str], processes: int, how: str
) -> None:
    carried_out(processes, train, code=1, VICTIM="1", **MIDDLE)
    killed = only_run().info.run_id
    line = ["resume", killed] if how == "resume" else [*train, "--resume", "auto"]
    assert carried_out(processes, line).stdout.split() == [killed]
    whole = carried_out(processes, train).stdout.strip()
    assert came_to(runs()[killed]) == came_to(runs()[whole])


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 3])
def test_a_run_is_resumed_by_other_numbers_of_processes_with_a_warning(
    store: str, train: list[str], processes: int
) -> None:
    carried_out(2, train, code=1, VICTIM="0", **MIDDLE)
    killed = only_run().info.run_id
    told = carried_out(processes, ["resume", killed])
    assert "device processes: 2, now " + str(processes) in told.stderr
    assert "with that it may come to other bits than it would have" in told.stderr
    run = only_run()
    assert (run.info.status, run.data.params["processes"]) == ("FINISHED", "2")
    assert run.data.tags["mlrun.processes"] == str(processes)
    assert "mlrun.launch" in run.data.tags


@pytest.mark.slow
def test_one_process_alone_goes_on_where_that_is_asked_for(store: str, train: list[str]) -> None:
    carried_out(2, train, code=1, VICTIM="1", **MIDDLE)
    killed = only_run().info.run_id
    told = Recorder()
    mlrun.resume(killed, processes=1, progress=told)
    assert any("device processes: 2, now 1" in line for line in told.lines)
    run = only_run()
    assert (run.info.status, "mlrun.launch" in run.data.tags) == ("FINISHED", False)


@pytest.mark.slow
def test_a_run_that_was_finished_before_is_not_trained_again(store: str, train: list[str]) -> None:
    told = carried_out(2, train, "--max-restarts=1", VICTIM="1", WHEN="over")
    run_id = only_run().info.run_id
    assert told.stdout.split() == [run_id, run_id]
    assert f"run {run_id} was finished before the processes were started again" in told.stderr


@pytest.mark.slow
def test_a_run_of_an_earlier_launch_of_the_same_name_is_left_alone(
    store: str, train: list[str]
) -> None:
    named = ["--rdzv-id=7", "--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0"]
    start = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", *named]
    command = ["--max-restarts=1", "-m", "mlrun", *train]
    ended([*start, *command[1:]], 1, {"VICTIM": "0", **MIDDLE})
    lost = only_run().info.run_id
    told = ended([*start, *command], 0, {"VICTIM": "1", "WHEN": "imported"})
    assert told.stdout.strip() != lost
    assert runs()[lost].info.status == "RUNNING"
    assert len(runs()) == 2


@pytest.mark.slow
def test_what_fails_each_time_ends_failed_with_its_reason(store: str, train: list[str]) -> None:
    carried_out(2, train, "--max-restarts=2", code=1, ILL_FROM="20")
    run = only_run()
    assert run.info.status == "FAILED"
    assert run.data.tags["mlrun.reason"].startswith("the loss is nan at step ")
    assert run.data.tags["mlrun.resumed"].count(";") == 1


@pytest.mark.slow
def test_a_signal_within_an_evaluation_costs_no_step(store: str, train: list[str]) -> None:
    carried_out(2, train, code=1, VICTIM="0", WHEN="asked")
    run = only_run()
    assert run.data.tags["mlrun.status"] == "KILLED"
    told = carried_out(2, ["resume", run.info.run_id])
    assert "goes on from within epoch 1, step 10\n" in told.stderr


@pytest.mark.slow
def test_a_script_that_trains_two_such_runs_has_two_in_the_end(
    store: str, home: Path, train: list[str]
) -> None:
    script = home / "script.py"
    settings = {"plugin": train[2], **SETTINGS, "epochs": 1}
    script.write_text(f"import mlrun\nfor _ in range(2): mlrun.train({settings!r})")
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    killed = {"VICTIM": "1", "WHEN": "trained", "AT": "27"}  # within the second run
    ended([*start, "--max-restarts=1", str(script)], 0, killed)
    statuses = [run.info.status for run in runs().values()]
    assert statuses == ["FINISHED", "FINISHED"]
