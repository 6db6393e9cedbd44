"""MLproject, conda.yaml, requirements.txt and the package say the same; `mlflow run` runs it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from checkouts import BIN, ROOT, checkout, environment, mlflow_run
from mlflow import MlflowClient
from packaging.requirements import Requirement
from runs import heed_interrupts
from waiting import until

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_entry_point_declares_the_recipe_alone_and_quotes_nothing() -> None:
    project = yaml.safe_load((ROOT / "MLproject").read_text())
    assert project["conda_env"] == "conda.yaml"
    (main,) = project["entry_points"].values()
    assert main["parameters"] == {"recipe": {"type": "string", "default": "digits"}}
    assert main["command"] == "python -m mlrun train --recipe {recipe}"


def test_conda_reads_python_pip_and_the_pinned_requirements() -> None:
    conda = yaml.safe_load((ROOT / "conda.yaml").read_text())
    plain = [entry for entry in conda["dependencies"] if isinstance(entry, str)]
    (pip,) = [entry for entry in conda["dependencies"] if isinstance(entry, dict)]
    assert plain == ["python=3.11", "pip"]
    assert pip == {"pip": ["-r requirements.txt"]}
    assert conda["channels"] == ["conda-forge"]


def test_every_dependency_is_pinned_within_its_bounds_and_without_an_address() -> None:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pinned = [re.fullmatch(r"([A-Za-z0-9_-]+)==([0-9.]+)(; .+)?", line) for line in lines if line]
    pins = {found[1].lower(): found[2] for found in pinned if found}
    assert len(pins) == len(pinned)
    declared = {Requirement(text).name.lower(): Requirement(text) for text in
                PROJECT["dependencies"]}  # fmt: skip
    assert set(pins) == set(declared)
    for name, pin in pins.items():
        assert declared[name].specifier.contains(pin), name


def test_what_the_code_imports_is_declared() -> None:
    import ast

    names = {
        "annotated_types": "annotated-types",
        "yaml": "pyyaml",
        "PIL": "pillow",
        "sklearn": "scikit-learn",
    }
    imported = set()
    for folder in ("mlrun", "plugins"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    imported |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    imported.add(str(node.module).partition(".")[0])
    ours = {"mlrun", "mlrun_models", "mlrun_datasets", "mlrun_visualisers"}
    used = {names.get(name, name) for name in imported - ours - set(sys.stdlib_module_names)}
    declared = {Requirement(text).name.lower() for text in PROJECT["dependencies"]}
    optional = PROJECT["optional-dependencies"]
    extras = {Requirement(text).name for text in (*optional["captum"], *optional["sweep"])}
    assert used <= declared | extras
    assert declared - used == {"nvidia-ml-py"}  # for MLflow's metrics of a GPU


@pytest.mark.slow
def test_mlflow_run_logs_once_into_the_run_that_it_opened(store: str, home: Path) -> None:
    done = mlflow_run(
        checkout(home / "project"),
        "epochs=1",
        "lr=1e-3",
        "tags=note=$(touch pwned) 'x' y",
        "optimiser=sgd",
        "momentum=0.9",
        "nesterov=true",
        "model.batch-norm=true",
        "visualisers=none",
        "log-model=false",
    )
    assert done.returncode == 0, done.stderr
    (run,) = MlflowClient().search_runs(["0"])
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlrun.status"] == "FINISHED"
    assert run.data.tags["note"] == "$(touch pwned) 'x' y"
    assert run.info.run_name == (
        "cnn batch_norm=true · digits · lr 0.001 optimiser=sgd momentum=0.9 nesterov=true"
    )
    assert run.data.params["lr"] == "1e-3"  # as the launcher logged it
    assert run.data.params["model.batch_norm"] == "true"
    assert run.data.params["batch_size"] == "32"
    assert run.data.params["nesterov"] == "true"
    assert len(MlflowClient().get_metric_history(run.info.run_id, "val/loss")) == 2
    assert not list(home.rglob("pwned"))


@pytest.mark.slow
def test_a_recipe_is_run_by_name_with_changes(store: str, home: Path) -> None:
    project = checkout(home / "project")
    (project / "recipes" / "mine.yaml").write_text("base: digits\nmodel.channels: 4\nlr: 0.01\n")
    done = mlflow_run(project, "recipe=mine", "epochs=1", "visualisers=none", "log_model=false")
    assert done.returncode == 0, done.stderr
    (run,) = MlflowClient().search_runs(["0"])
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlrun.recipe"] == "mine"
    params = run.data.params
    assert (params["model.channels"], params["lr"], params["epochs"]) == ("4", "0.01", "1")
    assert params["recipe"] == "mine"  # as the launcher logged it
    wrong = mlflow_run(project, "recipe=mien")
    assert "unknown recipe mien; did you mean mine?" in wrong.stderr


@pytest.mark.slow
def test_each_checkout_runs_its_own_code(store: str, home: Path) -> None:
    """Here a third checkout is installed; it must not come through."""
    for name in ("one", "two"):
        folder = checkout(home / name)
        (folder / "mlrun" / "version.py").write_text(f'__version__ = "0.0.{len(name)}+{name}"\n')
        models = folder / "plugins" / "mlrun_models" / "__init__.py"
        text = models.read_text()
        for old, new in (
            ("bias: bool = True", f"{name}: int = 1"),
            ("widths=(), bias=bias", "widths=()"),
            ("        bias: add a bias", f"        {name}: add a bias"),
        ):
            assert old in text
            text = text.replace(old, new, 1)  # of the model logistic, which comes first
        models.write_text(text)
    for name in ("one", "two", "one"):
        done = mlflow_run(
            home / name, "model=logistic", "epochs=0", "visualisers=none", "log-model=false"
        )
        assert done.returncode == 0, done.stderr
        assert f"mlrun 0.0.3+{name} ({home / name / 'mlrun'})" in done.stderr + done.stdout
        run = MlflowClient().search_runs(["0"], order_by=["attributes.start_time DESC"])[0]
        assert run.data.tags["mlrun.version"] == f"0.0.3+{name}"
        assert run.data.tags["mlrun.model"].endswith(f"(mlrun-vision 0.0.3+{name})")
        assert run.data.params[f"model.{name}"] == "1"
        assert "model.bias" not in run.data.params


@pytest.mark.slow
def test_an_interrupted_launch_is_failed_to_mlflow_and_killed_in_our_tag(
    store: str, home: Path
) -> None:
    process = subprocess.Popen(
        [str(BIN / "mlflow"), "run", str(checkout(home / "project")), "--env-manager", "local",
         "-P", "epochs=100000", "-P", "visualisers=none", "-P", "log_model=false"],
        env=environment(),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        preexec_fn=heed_interrupts,
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("epoch 2/"):
            break
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does: to the launcher and to us
    process.communicate(timeout=120)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        (run,) = MlflowClient().search_runs(["0"])
        if "mlrun.status" in run.data.tags:
            break
        time.sleep(0.5)
    assert run.data.tags["mlrun.status"] == "KILLED"
    assert run.info.status in ("FAILED", "KILLED")


@pytest.mark.slow
def test_a_launch_that_is_killed_takes_its_run_along(store: str, home: Path) -> None:
    project = checkout(home / "project")
    with subprocess.Popen(
        [str(BIN / "mlflow"), "run", str(project), "--env-manager", "local",
         "-P", "epochs=100000", "-P", "visualisers=none", "-P", "log_model=false"],
        env=environment(),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if line.startswith("epoch 2/"):
                    break
            process.kill()
            (run,) = until(
                lambda: MlflowClient().search_runs(["0"], "attributes.status != 'RUNNING'")
            )
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert run.info.status == "KILLED"
    assert run.data.tags["mlrun.reason"].startswith("interrupted (mlflow run")


@pytest.mark.slow
def test_the_wheel_works_from_outside_the_checkout(home: Path) -> None:
    wheels = home / "wheels"
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(wheels), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (wheel,) = wheels.glob("mlrun_vision-*.whl")
    site = home / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--no-deps", "--target", str(site), str(wheel)],
        check=True,
        capture_output=True,
    )

    def run(*args: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "mlrun", *args],
            env=environment(PYTHONPATH=str(site), MLFLOW_TRACKING_URI=f"sqlite:///{home}/m.db"),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    shipped = json.loads(run("recipes", "--json"))["recipes"]
    assert {Path(recipe["file"]) for recipe in shipped} == {
        site / "mlrun" / "recipes" / path.name for path in (ROOT / "recipes").glob("*.yaml")
    }
    assert "lenet" in run("plugins")
    output = run("train", "--recipe", "digits", "--epochs", "1")
    assert f"({site / 'mlrun'}): cnn on digits" in output
    (page,) = home.glob("mlruns/**/report.html")  # its templates are in the wheel
    assert page.stat().st_size > 100_000
