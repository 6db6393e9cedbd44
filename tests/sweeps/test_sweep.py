"""`mlrun sweep` whole: workers in processes of their own, one that is killed, an interrupt."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

import optuna
import psutil
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run as MlflowRun
from optuna import Study
from optuna.trial import FrozenTrial, TrialState
from runs import artifacts, heed_interrupts, read
from studies import children
from waiting import until

from mlrun.sweeps.study import PROCESS, places

SMALL = [
    *("--model", "mlp", "--subset", "300", "--visualisers", "none", "--log-model", "false"),
    *("--checkpoint-every", "none"),
]
RATES = ["--search", "lr=log:1e-3..1e-1"]


def started(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "mlrun", "sweep", *SMALL, *RATES, "--study", "s", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    stdout, stderr = process.communicate(timeout=120)
    return process.returncode, stdout, stderr


def study() -> Study | None:
    with suppress(KeyError):  # it is not there yet
        return optuna.load_study(study_name="s", storage="sqlite:///mlrun-sweeps.db")
    return None


def under_way() -> FrozenTrial:
    """A trial that has an epoch behind it, and many before it; waited for."""

    def one() -> FrozenTrial | None:
        found = study()
        assert found is not None
        trials = found.get_trials(states=(TrialState.RUNNING,))
        return next((trial for trial in trials if trial.intermediate_values), None)

    until(lambda: MlflowClient().search_runs(["0"]), every=0.2)  # the parent, behind the imports
    until(lambda: Path("mlrun-sweeps.db").exists() and study())
    trial = until(one, every=0.2)
    assert trial is not None
    return trial


def parent() -> MlflowRun:
    (run,) = MlflowClient().search_runs(["0"], "tags.mlrun.family = 'sweep'")
    return run


def kill_all(process: subprocess.Popen[str]) -> None:
    with suppress(psutil.Error):
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
    process.kill()


@pytest.mark.slow
def test_a_trial_whose_worker_is_killed_is_taken_up_again_in_its_run(store: str) -> None:
    with started("--epochs", "40", "--trials", "3", "--workers", "2") as process:
        try:
            trial = under_way()
            os.kill(int(trial.user_attrs[PROCESS].split()[1]), signal.SIGKILL)
            code, stdout, stderr = ended(process)
        finally:
            kill_all(process)
    assert code == 0, stderr
    found = study()
    assert found is not None
    assert Counter(each.state.name for each in found.trials) == {"COMPLETE": 3, "FAIL": 1}
    assert [each.state.name for each in places(found).values()] == ["COMPLETE"] * 3
    assert [run.info.status for run in children()] == ["FINISHED"] * 3
    assert sum("mlrun.resumed" in run.data.tags for run in children()) == 1
    assert "a worker ended with exit code -9; its trial is taken up again" in stderr
    assert parent().info.status == "FINISHED"
    assert stdout == f"{parent().info.run_id}\n"
    assert artifacts(parent().info.run_id) == [
        *("best.yaml", "importances.json", "settings.yaml", "trials.csv")
    ]
    best = parent().data.tags["mlrun.best_run"]
    lr = next(run.data.params["lr"] for run in children() if run.info.run_id == best)
    assert f"\nlr: {lr}\n" in read(parent().info.run_id, "best.yaml").decode()


@pytest.mark.slow
def test_an_interrupt_ends_all_workers_and_the_same_command_goes_on(store: str) -> None:
    command = ["--epochs", "40", "--trials", "3", "--workers", "2"]
    with started(*command) as process:
        try:
            under_way()
            workers = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(signal.SIGINT)
            code, _, stderr = ended(process)
        finally:
            kill_all(process)
    assert code == 130, stderr
    assert not any(worker.is_running() for worker in workers)
    assert parent().info.status == "KILLED"
    assert "KILLED" in {run.info.status for run in children()} <= {"KILLED", "FINISHED"}
    assert "go on with all of them with: the same command" in stderr
    with started(*command) as process:
        try:
            code, stdout, stderr = ended(process)
        finally:
            kill_all(process)
    assert code == 0, stderr
    assert stdout == f"{parent().info.run_id}\n"
    assert parent().info.status == "FINISHED"
    assert [run.info.status for run in children()] == ["FINISHED"] * 3
    found = study()
    assert found is not None
    assert [each.state.name for each in places(found).values()] == ["COMPLETE"] * 3


OPEN = """
import sys
import optuna
from mlrun.sweeps.study import open_storage
print(optuna.create_study(storage=open_storage(sys.argv[1]), load_if_exists=True, study_name="s")
      .study_name)
"""


@pytest.mark.slow
def test_several_that_start_at_once_on_an_empty_database_do_not_collide(home: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, "sqlite:///all.db"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "MLRUN_HOME": str(home / str(number))},  # so each has its own lock
        )
        for number in range(4)
    ]
    try:
        outputs = [process.communicate(timeout=60) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [stdout for stdout, _ in outputs] == ["s\n"] * 4, outputs
