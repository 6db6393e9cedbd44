"""A run's weights where its data set or its first weights are no longer as they were."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

import mlrun
from mlrun.errors import MlrunError
from mlrun.finished.evaluate import EvaluationRequest, evaluate

Command = Callable[..., tuple[int, str, str]]

DRAWN = """
import mlrun

def drawn(root):
    import torch
    numbers = torch.Generator().manual_seed(int((root / "seed.txt").read_text()))
    images = torch.randint(0, 256, (60, 1, 8, 8), dtype=torch.uint8, generator=numbers)
    part = (images, torch.arange(60) % 3)
    return mlrun.ImageData(train=part, test=part, classes=("a", "b", "c"))

def started(shape, classes, *, start: str | None = None):
    from torch import nn
    if start is not None:
        open(start).close()
    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))

@mlrun.hookimpl
def register_datasets(register):
    register(drawn)

@mlrun.hookimpl
def register_models(register):
    register(started)
"""
DRAWN_RUN = {"dataset": "drawn", "plugin": "drawn.py", "epochs": 1, "visualisers": "none"}


def write_drawn(home: Path) -> None:
    (home / "drawn.py").write_text(DRAWN)
    for name, seed in (("data", "1"), ("same", "1"), ("other", "2")):
        (home / name).mkdir()
        (home / name / "seed.txt").write_text(seed)


def test_the_run_s_data_set_from_another_folder_must_be_the_same(store: str, home: Path) -> None:
    write_drawn(home)
    run_id = mlrun.train({**DRAWN_RUN, "model": "logistic", "log_model": False}).run_id
    assert not evaluate(run_id, EvaluationRequest(data_dir=home / "same")).fresh
    with pytest.raises(MlrunError, match=r"has test of something else: test of drawn \(digest "):
        evaluate(run_id, EvaluationRequest(data_dir=home / "other"))
    assert evaluate(run_id, EvaluationRequest(data_dir=home / "other", name="other")).fresh


def test_what_only_the_start_needed_may_be_gone(store: str, home: Path, command: Command) -> None:
    write_drawn(home)
    (home / "start.pt").write_text("")
    model = {"model": "started", "model.start": "start.pt", "log_model": False}
    run_id = mlrun.train({**DRAWN_RUN, **model}).run_id
    (home / "start.pt").unlink()
    for args in (["evaluate", run_id, "--noise", "0.1"], ["predict", run_id, "drawn.png"]):
        Image.new("L", (8, 8)).save(home / "drawn.png")
        code, _, stderr = command(*args)
        assert code == 2
        assert "No such file or directory: 'start.pt'; the weights are the run's own" in stderr
        assert command(*args, "--model.start", "none")[0] == 0
    code, _, stderr = command("predict", run_id, "drawn.png", "--dataset.x", "1")
    assert (code, stderr) == (
        2, "Error: unknown option --dataset.x; there are: --model.NAME\n",
    )  # fmt: skip
