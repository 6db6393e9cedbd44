"""The same settings give the same bits under the conditions of docs/settings.md, else nearly so."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from mlflow.entities import RunData
from runs import TIMES, logged

import mlrun

SETTINGS: dict[str, object] = {
    "model": "cnn",
    "model.channels": "4",
    "model.dropout": 0.2,
    "epochs": 1,
    "ema": 0.9,
    "rotate": 10,
    "threads": 1,
    "visualisers": "none",
    "log_model": "false",
}
PLAINER = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"}  # no AVX


def trained_elsewhere(**environment: str) -> RunData:
    """Returns what a process of its own logged of a run with `SETTINGS`."""
    options = [f"--{name}={value}" for name, value in SETTINGS.items()]
    done = subprocess.run(
        [sys.executable, "-m", "mlrun", "train", "--quiet", *options],
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    return logged(done.stdout.strip()).data


def figures(data: RunData) -> dict[str, float]:
    return {name: value for name, value in data.metrics.items() if name not in TIMES}


def test_the_same_settings_give_the_same_bits_in_every_process_of_a_machine(store: str) -> None:
    here, there = logged(mlrun.train(SETTINGS).run_id).data, trained_elsewhere()
    assert figures(there) == figures(here)
    digest = "mlrun.weights_sha256"
    assert there.tags[digest] == here.tags[digest]


@pytest.mark.slow
def test_a_plainer_processor_gives_the_same_within_rounding(store: str) -> None:
    plainer, here = trained_elsewhere(**PLAINER), trained_elsewhere()
    assert figures(plainer) == pytest.approx(figures(here), rel=1e-3)
