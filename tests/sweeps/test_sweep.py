"""`mlrun sweep` whole: workers in processes of their own, one that is killed, an interrupt."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import optuna
import psutil
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run as MlflowRun
from optuna import Study
from optuna.trial import FrozenTrial, TrialState
from runs import artifacts, heed_interrupts
from studies import children
from waiting import until

from benchmarks.reliability.stores import Skipped, cluster
from mlrun.sweeps.study import PROCESS, places

SMALL = [
    *("--model", "mlp", "--subset", "200", "--epochs", "3", "--plugin", "held.py"),
    *("--visualisers", "held", "--log-model", "false", "--report", "false"),
]
HELD = """
import mlrun

def held(view):
    \"""Keeps a training at its second epoch while there is a file `hold`.\"""
    import time
    from pathlib import Path

    while view.epoch == 2 and Path("hold").exists():
        time.sleep(0.05)
    return ()

@mlrun.hookimpl
def register_visualisers(register):
    register(held, when="epoch")
"""
RATES = ["--search", "lr=log:1e-3..1e-1"]


@pytest.fixture
def hold(home: Path) -> Path:
    """The file that keeps trials from coming to their end while it is there."""
    (home / "held.py").write_text(HELD)
    (home / "hold").touch()
    return home / "hold"


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


@pytest.fixture
def studies(tmp_path: Path) -> Iterator[str]:
    """The address of a database: PostgreSQL's where it is installed."""
    with ExitStack() as stack:
        try:
            yield stack.enter_context(cluster(tmp_path / "cluster")).address
        except Skipped:
            yield "sqlite:///all.db"


def study(url: str = "sqlite:///mlrun-sweeps.db") -> Study | None:
    with suppress(KeyError):  # it is not there yet
        return optuna.load_study(study_name="s", storage=url)
    return None


def under_way(
    url: str = "sqlite:///mlrun-sweeps.db", process: int | None = None, but: int = -1
) -> FrozenTrial:
    """A trial that has an epoch behind it, and another before it; waited for.

    It is of that process, if one is given, and not the one that has the number `but`.
    """

    def one() -> FrozenTrial | None:
        found = study(url)
        for trial in found.get_trials(states=(TrialState.RUNNING,)) if found else []:
            number = int(trial.user_attrs.get(PROCESS, "- 0 -").split()[1])
            if trial.number == but:
                continue
            if trial.intermediate_values and process in (None, number):
                return trial
        return None

    until(lambda: MlflowClient().search_runs(["0"]), every=0.2)  # the parent, behind the imports
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
def test_trials_of_killed_workers_are_taken_up_again_here_and_elsewhere(
    store: str, hold: Path, studies: str
) -> None:
    """One of them in its run; of the one that joined the run's folder is not at hand."""
    command = ["--trials", "2", "--storage", studies]
    with ExitStack() as stack:
        main = stack.enter_context(started(*command))
        stack.callback(kill_all, main)
        first = under_way(studies)
        elsewhere = {**os.environ, "MLRUN_HOME": str(hold.parent / "elsewhere")}
        join = ["--join", "s", "--storage", studies, "--plugin", "held.py"]
        joined = stack.enter_context(
            subprocess.Popen([sys.executable, "-m", "mlrun", "sweep", *join], env=elsewhere)
        )
        stack.callback(joined.kill)
        second = under_way(studies, joined.pid)
        os.kill(int(first.user_attrs[PROCESS].split()[1]), signal.SIGKILL)
        joined.kill()
        joined.wait()
        hold.unlink()
        code, stdout, stderr = ended(main)
    assert code == 0, stderr
    found = study(studies)
    assert found is not None
    assert [each.state.name for each in places(found).values()] == ["COMPLETE"] * 2
    counts = Counter(each.state.name for each in found.trials)
    assert counts == {"COMPLETE": 2, "FAIL": 2}
    runs = children()
    assert Counter(run.info.status for run in runs) == {"FINISHED": 2, "KILLED": 1}
    (dead,) = (run for run in runs if run.info.status == "KILLED")
    assert dead.data.tags["mlrun.trial"] == str(second.user_attrs["place"])
    (retry,) = (run for run in runs if "mlrun.retries" in run.data.tags)
    assert dead.data.tags["mlrun.retried_as"] == retry.info.run_id
    assert retry.data.tags["mlrun.retries"] == dead.info.run_id
    assert parent().info.status == "FINISHED"
    assert stdout == f"{parent().info.run_id}\n"
    assert artifacts(parent().info.run_id) == [
        *("best.yaml", "importances.json", "settings.yaml", "trials.csv")
    ]
    assert sum("mlrun.resumed" in run.data.tags for run in runs) == 1


@pytest.mark.slow
def test_an_interrupt_ends_all_workers_and_the_same_command_goes_on(store: str, hold: Path) -> None:
    command = ["--trials", "2"]
    with started(*command, "--workers", "2") as process:
        try:
            first = under_way()
            under_way(but=first.number)
            workers = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(signal.SIGINT)
            code, _, stderr = ended(process)
        finally:
            kill_all(process)
    assert code == 130, stderr
    assert not any(worker.is_running() for worker in workers)
    assert parent().info.status == "KILLED"
    assert [run.info.status for run in children()] == ["KILLED"] * 2
    hold.unlink()
    assert "go on with all of them with: the same command" in stderr
    with started(*command) as process:
        try:
            code, stdout, stderr = ended(process)
        finally:
            kill_all(process)
    assert code == 0, stderr
    assert stdout == f"{parent().info.run_id}\n"
    assert parent().info.status == "FINISHED"
    assert [run.info.status for run in children()] == ["FINISHED"] * 2, stderr
    found = study()
    assert found is not None
    assert [each.state.name for each in places(found).values()] == ["COMPLETE"] * 2


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
        for number in range(3)
    ]
    try:
        outputs = [process.communicate(timeout=60) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [stdout for stdout, _ in outputs] == ["s\n"] * 3, outputs
