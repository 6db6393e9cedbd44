"""The command line, in process and as a user starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from commands import QUICK, Here, mlrun, runs
from mlflow import MlflowClient


@pytest.fixture
def here(command: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch) -> Here:
    """The same in this process, which need not import torch and MLflow again."""

    def here(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return subprocess.CompletedProcess(args, *command(*args))

    return here


def test_a_run_prints_its_id_last_on_stdout_and_all_else_on_stderr(store: str) -> None:
    done = mlrun("train", *QUICK, "--batch_size", "64", "--model.bias", "false")
    assert done.returncode == 0
    (run_id,) = runs()
    assert done.stdout == f"{run_id}\n"
    lines = done.stderr.splitlines()
    assert lines[0].startswith("mlrun 0.1.0 (")
    assert any(line.startswith("epoch 1/1  train loss ") for line in lines)
    assert f"best weights: epoch 1, runs:/{run_id}/checkpoints/epoch-1.pt" in lines
    assert f"this run:   http://127.0.0.1:5000/#/experiments/0/runs/{run_id}" in lines
    assert lines[-1] == (
        "all runs:   http://127.0.0.1:5000/#/experiments/0/runs"
        "?workflowType=machine_learning&compareRunsMode=CHART"
    )
    params = MlflowClient().get_run(run_id).data.params
    assert (params["batch_size"], params["model.bias"]) == ("64", "false")


def test_what_plugins_log_is_shown_unless_it_is_quiet(here: Here, store: str, home: Path) -> None:
    (home / "talks.py").write_text(
        "import logging, mlrun\n"
        "def talks(shape, classes):\n"
        "    from torch import nn\n"
        "    logging.getLogger('mlrun.talks').info('building')\n"
        "    logging.getLogger('mlrun.talks').warning('it is small')\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))\n"
        "@mlrun.hookimpl\n"
        "def register_models(register):\n"
        "    register(talks)\n"
    )
    talking = ["train", *QUICK, "--plugin", "talks.py", "--model", "talks"]
    lines = here(*talking).stderr.splitlines()
    assert {"building", "Warning: it is small"} <= set(lines)
    assert here(*talking, "--quiet").stderr == "Warning: it is small\n"


def test_quiet_prints_the_run_id_only(here: Here, store: str) -> None:
    done = here("train", *QUICK, "--quiet")
    assert done.stdout.strip() in runs()
    assert done.stderr == ""


def test_no_command_shows_the_help() -> None:
    done = mlrun()
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: mlrun [OPTIONS] COMMAND")


def test_a_dry_run_prints_a_recipe_that_means_the_same(here: Here, home: Path) -> None:
    given = ["--recipe", "digits", "--lr", "1e-4", "--optimiser", "sgd", "--momentum", "0.9"]
    done = here("train", *given, "--nesterov", "--model.batch_norm", "--dry-run")
    assert done.returncode == 0
    values = yaml.safe_load(done.stdout)
    assert values["lr"] == 0.0001
    assert values["nesterov"] is True
    assert values["model.batch_norm"] is True
    assert values["model.channels"] == [16, 32]
    Path("mine.yaml").write_text(done.stdout)
    assert here("train", "--recipe", "mine.yaml", "--dry-run").stdout == done.stdout
    assert not Path("mlflow.db").exists()


def test_of_two_spellings_on_the_command_line_the_last_counts(here: Here, home: Path) -> None:
    args = ["--recipe", "digits", "--optimiser", "sgd", "--optimizer", "adamw", "--dry-run"]
    assert yaml.safe_load(here("train", *args).stdout)["optimiser"] == "adamw"


def test_help_shows_every_setting_with_its_default() -> None:
    from mlrun.settings import Settings

    done = mlrun("train", "--help", COLUMNS="200")
    for name in set(Settings.model_fields) - {"options"}:
        assert f"--{name.replace('_', '-')} " in done.stdout
    assert "[0.001]" in done.stdout
    assert "--model.NAME VALUE" in done.stdout


def test_plugins_are_listed_described_and_given_as_json(here: Here, home: Path) -> None:
    listing = here("plugins").stdout
    for word in ("Models:", "Data sets:", "Visualisers:", "lenet", "fashion-mnist", "weights"):
        assert word in listing
    about = here("plugins", "lenet").stdout
    assert about.startswith("lenet (model), from mlrun-models (mlrun-vision ")
    assert "Gradient-based learning" in about
    assert "--model.dropout float" in about
    found = json.loads(here("plugins", "--json").stdout)
    names = {(c["kind"], c["name"]) for c in found["components"]}
    assert ("dataset", "digits") in names
    assert found["broken"] == []
    (one,) = json.loads(here("plugins", "mlp", "--json").stdout)["components"]
    assert one["options"][0] == {
        "name": "widths",
        "type": "int,…",
        "required": False,
        "default": [128],
        "help": "units of each hidden layer; none gives logistic regression.",
    }


def test_broken_plugins_are_listed_with_the_reason(home: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    info = site / "bad-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bad\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mlrun]\nbad = no_such_module\n")
    done = mlrun("plugins", PYTHONPATH=str(site))
    assert done.returncode == 0
    assert "Broken:" in done.stdout
    assert "No module named 'no_such_module'" in done.stdout
    assert "lenet" in done.stdout


@pytest.mark.slow
def test_a_bar_is_shown_on_a_terminal(store: str) -> None:
    """A real pseudo-terminal; rich draws on it, and the run id still ends stdout."""
    import pty

    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "mlrun", "train", *QUICK],
        stderr=slave,
        stdout=subprocess.PIPE,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(slave)
    shown = b""
    while True:
        try:
            chunk = os.read(master, 65536)
        except OSError:
            break
        if not chunk:
            break
        shown += chunk
    os.close(master)
    assert process.stdout is not None
    assert process.stdout.read().decode().strip() in runs()
    process.stdout.close()
    assert process.wait() == 0
    assert "━" in shown.decode()
    assert "epoch 1/1  train loss" in shown.decode()
