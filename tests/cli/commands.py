"""The command line, called in a process of its own or in this one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

from mlflow import MlflowClient

Here = Callable[..., subprocess.CompletedProcess[str]]
QUICK = ["--model", "logistic", "--epochs", "1", "--visualisers", "none", "--log-model", "false"]


def mlrun(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mlrun", *args],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=120,
    )


def runs() -> list[str]:
    return [run.info.run_id for run in MlflowClient().search_runs(["0"])]
