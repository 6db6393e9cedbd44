"""What the documentation says is what the code does."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import json
import os
import pkgutil
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from checkouts import ROOT
from mlflow import MlflowClient

import mlrun
from mlrun.cli import sweep, train
from mlrun.seam.registry import discover
from mlrun.settings.plan import plan_of
from mlrun.sweeps.request import request_of

MODULES = [
    m.name for m in pkgutil.walk_packages(mlrun.__path__, "mlrun.") if "__main__" not in m.name
]
PAGES = ["README.md", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").glob("*.md"))]
PAGES.remove("docs/architecture.md")  # which is for developers: no command is shown
EXAMPLES = ROOT / "tests" / "example_plugin"


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_give_what_they_show(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("name", ["plugins.md", "architecture.md"])
def test_the_pages_are_filled_from_the_code(name: str) -> None:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    page = (ROOT / "docs" / name).read_text()
    assert generate.filled(page) == page, "run python docs/generate.py"


def test_the_page_on_visualisers_names_each_with_its_options() -> None:
    page = (ROOT / "docs" / "visualisers.md").read_text()
    for component in discover().of_kind("visualiser"):
        assert f"| `{component.name}` |" in page
        for option in component.options:
            assert f"`{option.name}`" in page or f"--{component.name}.{option.name} " in page


def test_a_plugin_is_about_twenty_lines() -> None:
    lines = (EXAMPLES / "mlrun_tiny.py").read_text().splitlines()
    assert len([line for line in lines if line.strip()]) <= 20


@pytest.mark.slow
def test_the_example_is_a_plugin_when_pip_has_installed_it(store: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "mlrun_tiny.py"):
        shutil.copy(EXAMPLES / name, source)
    site = tmp_path / "installed"
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--target", str(site), str(source)], check=True, capture_output=True)
    environment = {**os.environ, "PYTHONPATH": str(site)}

    def run(*args: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "mlrun", *args],
            env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    (found,) = json.loads(run("plugins", "tiny/tiny-cnn", "--json"))["components"]
    assert (found["plugin"], found["distribution"], found["version"]) == (
        "tiny",
        "mlrun-tiny",
        "0.1.0",
    )
    assert [option["help"] for option in found["options"]] == [
        "output channels of the convolution.",
        "the fraction dropped before the linear layer.",
    ]
    options = ["--epochs", "1", "--model.width", "4", "--log-model", "false"]
    run_id = run("train", "--model", "tiny-cnn", "--quiet", *options).strip()
    logged = MlflowClient().get_run(run_id).data
    assert logged.params["model.width"] == "4"
    assert logged.tags["mlrun.model"] == "tiny/tiny-cnn from tiny (mlrun-tiny 0.1.0)"


def test_the_data_set_and_the_visualiser_of_the_page_work_as_files(store: str) -> None:
    done = mlrun.train(
        {
            "plugin": f"{EXAMPLES / 'stripes.py'},{EXAMPLES / 'histograms.py'}",
            "dataset": "stripes",
            "dataset.size": 12,
            "model.channels": "4",
            "visualisers": "histograms",
            "epochs": 2,
            "log_model": False,
        }
    )
    assert done.failures == {}
    assert done.metrics["test/accuracy"] == 1.0
    images = MlflowClient().list_artifacts(done.run_id, "images")
    keys = {Path(image.path).name.partition("+")[0] for image in images}
    assert keys == {"histograms-conv1.weight", "histograms-out.weight"}


def commands_of(text: str) -> list[str]:
    """The `mlrun train …` and `mlrun sweep …` lines of a page's code blocks."""
    blocks = re.findall(r"```(?:\w*)\n(.*?)```", text, re.DOTALL)
    return re.findall(r"^(?:\$ )?(mlrun (?:train|sweep) [^#\n]+)", "\n".join(blocks), re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_that_are_shown_resolve(page: str, home: Path) -> None:
    text = (ROOT / page).read_text()
    shutil.copy(EXAMPLES / "mlrun_tiny.py", home)
    shutil.copy(ROOT / "recipes" / "digits.yaml", home / "settings.yaml")
    for block in re.findall(r"```python\n(import mlrun\n.*?)```", text, re.DOTALL):
        name = re.search(r"^def (\w+)", block, re.MULTILINE)
        assert name is not None
        (home / f"{name[1]}.py").write_text(block)
    for name, block in re.findall(r"```yaml\n# (\S+\.yaml)\n(.*?)```", text, re.DOTALL):
        (home / name).write_text(block)
    commands = [line for line in commands_of(text) if "--help" not in line]
    assert commands
    for line in commands:
        _, name, *arguments = shlex.split(line)
        command = sweep.command if name == "sweep" else train.command
        ctx = command.make_context(name, arguments)
        if name == "train":
            assert plan_of(train.values_of(ctx)).components, line
        elif ctx.params["join"] is None:
            search = dict(map(sweep.pair_of, ctx.params["search"]))
            assert request_of(train.values_of(ctx, own=sweep.OWN), search).space, line


def test_the_page_on_data_sets_names_each_with_its_options_and_a_command() -> None:
    page = (ROOT / "docs" / "datasets.md").read_text()
    commands = commands_of(page)
    for component in discover().of_kind("dataset"):
        assert f"| `{component.name}` |" in page
        if component.options:
            assert any(f"--dataset {component.name} " in command for command in commands)
        for option in component.options:
            dashed = option.name.replace("_", "-")
            assert f"`{option.name}" in page or f"--dataset.{dashed} " in page, option.name
