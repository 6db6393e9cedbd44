"""Several runs in one process: a data set is loaded once in a block of `shared_data`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from checkouts import ROOT

import mlrun
from mlrun.preparing.contracts import load_data
from mlrun.settings.plan import plan_of

COUNTING = """
import mlrun

loads = []


def counted(root, *, shade: int = 1):
    import torch

    loads.append((root, shade))
    images = torch.full((20, 1, 4, 4), shade, dtype=torch.uint8)
    return mlrun.ImageData(mlrun.Part(images, torch.arange(20) % 2), ("a", "b"))


@mlrun.hookimpl
def register_datasets(register):
    register(counted)
"""


@pytest.fixture
def plugin(tmp_path: Path) -> str:
    path = tmp_path / "counted.py"
    path.write_text(COUNTING)
    return str(path)


def loaded(plugin: str, **settings: object) -> mlrun.ImageData:
    plan = plan_of({"plugin": plugin, "dataset": "counted", "visualisers": "none", **settings})
    return load_data(plan.dataset, plan.settings.data_dir)


def test_a_block_loads_a_data_set_once_for_all_its_runs(plugin: str) -> None:
    with mlrun.shared_data():
        first = loaded(plugin, lr=0.1)
        assert loaded(plugin, lr=0.2) is first


@pytest.mark.parametrize("other", [{"dataset.shade": 2}, {"data_dir": "elsewhere"}])
def test_other_options_and_folders_are_other_data(plugin: str, other: dict[str, object]) -> None:
    with mlrun.shared_data():
        assert loaded(plugin, **other) is not loaded(plugin)


def test_outside_of_a_block_every_run_loads_what_is_there(plugin: str) -> None:
    with mlrun.shared_data():
        first = loaded(plugin)
    assert loaded(plugin) is not first
    assert loaded(plugin) is not loaded(plugin)


def test_runs_that_share_give_the_numbers_of_runs_that_do_not(store: str) -> None:
    settings = {"epochs": 1, "visualisers": "none", "log_model": False}
    alone = mlrun.train(settings)
    with mlrun.shared_data():
        first, second = mlrun.train(settings), mlrun.train(settings)
    assert alone.metrics["test/loss"] == first.metrics["test/loss"] == second.metrics["test/loss"]


def test_the_sweep_that_the_readme_shows_prints_an_accuracy_a_rate(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = re.search(
        r"```python\n(with mlrun.shared_data.*?)```", (ROOT / "README.md").read_text(), re.S
    )
    assert found is not None
    exec(found[1], {"mlrun": mlrun})
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [float(lr) for lr, _ in rows] == [1e-4, 1e-3, 1e-2]
    assert all(0 < float(accuracy) <= 1 for _, accuracy in rows)
