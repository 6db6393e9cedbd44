"""Runs on many classes: top-5 figures, and classes that no image is of."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from runs import QUICK, plugin, read, steps

import mlrun

MANY_CLASSES = """
def dozen(root):
    import torch
    drawn = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (240, 1, 8, 8), dtype=torch.uint8, generator=drawn)
    labels = torch.arange(240) % 12
    return mlrun.ImageData(train=(images, labels), classes=tuple("abcdefghijkl"))

@mlrun.hookimpl
def register_datasets(register):
    register(dozen)
"""


def test_many_classes_have_top_5_figures_and_without_a_test_part_the_table_is_of_validation(
    store: str, tmp_path: Path
) -> None:
    path = plugin(tmp_path, MANY_CLASSES)
    run = mlrun.train({**QUICK, "dataset": "dozen", "plugin": path, "validation": 0.25})
    assert steps(run.run_id, "val/top5-accuracy") == [0, 1]
    assert run.metrics["val/accuracy"] <= run.metrics["val/top5-accuracy"] <= 1
    assert not steps(run.run_id, "train/top5-accuracy")  # it would stay that of epoch 0
    table = json.loads(read(run.run_id, "tables/per-class.json"))
    assert table["columns"] == ["class", "precision", "recall", "f1", "support"]
    assert [row[0] for row in table["data"]] == list("abcdefghijkl")
    assert sum(row[-1] for row in table["data"]) == 60
    assert not [row for row in table["data"] if None in row]  # which MLflow would show as null
    assert not [name for name in run.metrics if name.startswith("test/")]


def test_classes_that_are_not_validated_are_named(
    store: str, tmp_path: Path, told: Callable[[], str]
) -> None:
    given = {**QUICK, "dataset": "dozen", "plugin": plugin(tmp_path, MANY_CLASSES)}
    mlrun.train({**given, "validation": 0.25})
    assert "has no image" not in told()
    mlrun.train({**given, "validation": 0.02})  # 5 images of 12 classes
    found = re.search(r"the validation part has no image of (\d+) of 12 classes: (.*), …;", told())
    assert found is not None
    assert int(found[1]) == 7
    assert len(found[2].split(", ")) == 5
