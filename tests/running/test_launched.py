"""A run that `mlflow run` started ends soon after that; one that a shell started lasts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from mlflow import MlflowClient
from runs import logged
from waiting import until

TRAIN = [sys.executable, "-m", "mlrun", "train", "--visualisers", "none", "--log-model", "false"]
LAUNCHER = """
import os, subprocess, sys
between = ["sh", "-c", '"$@"; true', "sh", *sys.argv[2:]]
subprocess.run(between, env={**os.environ, "MLFLOW_RUN_ID": sys.argv[1]})
"""


@contextmanager
def started(command: list[str], stderr: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process and all that it starts, which are killed at the end."""
    with stderr.open("wb") as file:
        process = subprocess.Popen(command, stderr=file, start_new_session=True)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize(
    "sent", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=[pytest.mark.slow])]
)
def test_it_ends_when_the_launcher_does(store: str, tmp_path: Path, sent: signal.Signals) -> None:
    run_id, stderr = MlflowClient().create_run("0").info.run_id, tmp_path / "stderr"
    command = [sys.executable, "-c", LAUNCHER, run_id, *TRAIN, "--epochs", "100000"]
    with started(command, stderr) as launcher:
        until(lambda: "\nepoch 1/" in stderr.read_text() or launcher.poll() is not None)
        launcher.send_signal(sent)
        until(lambda: logged(run_id).info.status != "RUNNING")
        until(lambda: stderr.read_text().endswith("Error: terminated\n"))
    run = logged(run_id)
    assert run.info.status == "KILLED"
    assert run.data.tags["mlrun.reason"] == (
        "interrupted (mlflow run, which started it, has ended)"
    )


def test_one_that_a_shell_started_outlives_the_shell(store: str, tmp_path: Path) -> None:
    run_id, stderr = MlflowClient().create_run("0").info.run_id, tmp_path / "stderr"
    background = f'MLFLOW_RUN_ID={run_id} nohup "$@" & sleep 0.5'
    command = ["sh", "-c", background, "sh", *TRAIN, "--epochs", "3"]
    with started(command, stderr) as shell:
        assert shell.wait(60) == 0
        assert logged(run_id).info.status == "RUNNING"
        until(lambda: logged(run_id).info.status != "RUNNING")
    assert logged(run_id).info.status == "FINISHED"
