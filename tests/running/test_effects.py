"""Every setting does something: for each, a run that would be the same if it were ignored."""

from __future__ import annotations

import io
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from checkouts import ROOT
from mlflow import MlflowClient
from mlrun_datasets.embedded import load_digits
from runs import QUICK, artifacts, logged, plugin, read, without

import mlrun
from mlrun.errors import MlrunError
from mlrun.settings import Settings

SGD = {"optimiser": "sgd", "lr": 0.05}
MOMENTUM = {**SGD, "momentum": 0.9}
PLATEAU = {"schedule": "plateau", "epochs": 4, "optimiser": "sgd", "lr": 1e-6}  # nothing better

# setting: what is run without it, what is changed, and a figure that tells
FIGURES: dict[str, tuple[dict[str, object], dict[str, object], str]] = {
    "batch_size": ({}, {"batch_size": 7}, "train/loss"),
    "shuffle": ({}, {"shuffle": False}, "train/loss"),
    "drop_last": ({"batch_size": 100}, {"drop_last": True}, "train/loss"),
    "subset": ({}, {"subset": "random:500"}, "train/loss"),
    "validation": ({}, {"validation": 0.5}, "val/loss"),
    "stratify": ({}, {"stratify": False}, "val/loss"),
    "normalisation": ({}, {"normalisation": "0.3/0.5"}, "train/loss"),
    "rotate": ({}, {"rotate": 10}, "train/loss"),
    "translate": ({}, {"translate": 0.1}, "train/loss"),
    "scale": ({}, {"scale": "0.9,1.1"}, "train/loss"),
    "shear": ({}, {"shear": 10}, "train/loss"),
    "flip": ({}, {"flip": "horizontal"}, "train/loss"),
    "crop": ({}, {"crop": 1}, "train/loss"),
    "erase": ({}, {"erase": 0.5}, "train/loss"),
    "noise": ({}, {"noise": 0.1}, "train/loss"),
    "mixup": ({}, {"mixup": 0.2}, "train/loss"),
    "cutmix": ({}, {"cutmix": 1}, "train/loss"),
    "epochs": ({}, {"epochs": 2}, "train/loss"),
    "steps": ({}, {"steps": 3}, "val/loss"),
    "time_limit": ({"epochs": 3}, {"time_limit": 1e-9}, "val/loss"),
    "initialisation": ({}, {"initialisation": "kaiming-normal"}, "train/loss"),
    "reduction": (SGD, {"reduction": "sum"}, "train/loss"),
    "label_smoothing": ({}, {"label_smoothing": 0.1}, "train/loss"),
    "class_weights": ({}, {"class_weights": "1,1,1,1,1,1,1,1,1,2"}, "train/loss"),
    "accumulate": ({}, {"accumulate": 2}, "train/loss"),
    "clip_norm": ({}, {"clip_norm": 0.01}, "train/loss"),
    "ema": ({}, {"ema": 0.99}, "val/loss"),
    "optimiser": ({}, {"optimiser": "rmsprop"}, "train/loss"),
    "lr": ({}, {"lr": 0.01}, "train/loss"),
    "part_lrs": ({}, {"part_lrs": "out=0.1"}, "train/loss"),
    "momentum": (SGD, {"momentum": 0.9}, "train/loss"),
    "nesterov": (MOMENTUM, {"nesterov": True}, "train/loss"),
    "weight_decay": ({}, {"weight_decay": 0.1}, "train/loss"),
    "schedule": ({}, {"schedule": "cosine"}, "train/loss"),
    "warmup_epochs": ({}, {"warmup_epochs": 1}, "train/loss"),
    "schedule_every": ({"schedule": "step", "epochs": 2}, {"schedule_every": 1}, "lr"),
    "schedule_factor": (
        {"schedule": "step", "epochs": 2, "schedule_every": 1},
        {"schedule_factor": 0.5},
        "lr",
    ),
    "schedule_patience": (PLATEAU, {"schedule_patience": 1}, "lr"),
    "seed": ({}, {"seed": 1}, "train/loss"),
    "precision": ({}, {"precision": "bf16"}, "train/loss"),
    "evaluate_train": ({}, {"evaluate_train": True}, "train/loss"),
    "model": ({}, {"model": "cnn"}, "train/loss"),
    "options": ({}, {"model.widths": "9"}, "train/loss"),
}


@cache
def figures(given: tuple[tuple[str, object], ...]) -> dict[str, float]:
    return mlrun.train(dict(given)).metrics


@pytest.mark.parametrize("name", FIGURES)
def test_a_setting_changes_the_figures(store: str, name: str) -> None:
    base, change, tells = FIGURES[name]
    plain = {**QUICK, **base}
    changed = {**plain, **change}
    if name == "model":
        changed = without(changed, "model.widths")
    assert figures(tuple(plain.items()))[tells] != figures(tuple(changed.items()))[tells]


def test_each_setting_has_a_test_of_its_effect() -> None:
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    effects = set(re.findall(r"def test_effect_of_(\w+)", tests))
    elsewhere = {"init_from", "strict"}  # test_transfer.py, test_errors_on_one_line.py
    elsewhere |= {"processes", "sync_batch_norm"}  # test_together.py, test_batch_norm_together.py
    assert set(Settings.model_fields) - effects - elsewhere - set(FIGURES) == set()


def test_effect_of_dataset(store: str, tmp_path: Path) -> None:
    with pytest.raises(MlrunError, match="no train-images-idx3-ubyte"):
        mlrun.train({**QUICK, "dataset": "mnist", "data_dir": tmp_path})


def test_effect_of_data_dir(store: str, tmp_path: Path) -> None:
    with pytest.raises(MlrunError, match=str(tmp_path / "there")):
        mlrun.train({**QUICK, "dataset": "mnist", "data_dir": tmp_path / "there"})


def test_effect_of_visualisers(store: str) -> None:
    run = mlrun.train({**QUICK, "visualisers": "confusion-matrix"})
    assert artifacts(run.run_id, "figures") == ["confusion-matrix.png"]


def test_effect_of_probe(store: str) -> None:
    shown = {"model": "cnn", "epochs": 0, "log_model": False, "visualisers": "feature-maps"}
    own, china = (mlrun.train({**shown, "probe": probe}) for probe in ("none", "china"))
    assert "probe.png" in artifacts(china.run_id)
    assert "probe.png" not in artifacts(own.run_id)
    pictures = [
        len(read(run.run_id, f"images/{name}"))
        for run in (own, china)
        for name in artifacts(run.run_id, "images")
        if "conv1" in name and name.endswith("png")
    ]
    assert pictures[1] > 2 * pictures[0]


def test_effect_of_plugin(store: str, tmp_path: Path) -> None:
    code = """
def mine(shape, classes):
    from torch import nn
    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))

@mlrun.hookimpl
def register_models(register):
    register(mine)
"""
    given = {**without(QUICK, "model.widths"), "model": "mine", "plugin": plugin(tmp_path, code)}
    assert mlrun.train(given).metrics["train/loss"] > 0


def test_effect_of_early_stopping(store: str) -> None:
    settings = {**QUICK, **SGD, "lr": 5, "epochs": 9, "early_stopping": 1}
    run = mlrun.train({**settings, "monitor": "val/accuracy"})
    values = [m.value for m in MlflowClient().get_metric_history(run.run_id, "val/accuracy")][1:]
    falls = [e for e in range(2, len(values) + 1) if values[e - 1] <= max(values[: e - 1])]
    assert falls == [len(values)]
    assert len(values) < 9
    reason = "early stopping: val/accuracy not better for 1 evaluation"
    assert logged(run.run_id).data.tags["mlrun.stopped"] == reason


def test_effect_of_cache_features(store: str) -> None:
    frozen = {**without(QUICK, "model.widths"), "subset": 20, "model": "torchvision"}
    frozen |= {"model.arch": "squeezenet1_1", "model.train": "head"}
    for cached, expected in ((True, "after features, 512 numbers an image"), (False, None)):
        run = mlrun.train({**frozen, "cache_features": cached})
        assert logged(run.run_id).data.tags.get("mlrun.frozen_features") == expected


def test_effect_of_device(store: str) -> None:
    with pytest.raises(MlrunError, match="device cuda:7 is not here"):
        mlrun.train({**QUICK, "device": "cuda:7"})


def test_effect_of_deterministic(store: str, tmp_path: Path) -> None:
    code = """
def strict(shape, classes):
    import torch
    from torch import nn

    class Strict(nn.Linear):
        def forward(self, images):
            if not torch.are_deterministic_algorithms_enabled():
                raise RuntimeError("anything goes")
            return super().forward(images.flatten(1))

    return Strict(64, classes)

@mlrun.hookimpl
def register_models(register):
    register(strict)
"""
    given = {**without(QUICK, "model.widths"), "model": "strict", "plugin": plugin(tmp_path, code)}
    with pytest.raises(MlrunError, match="anything goes"):
        mlrun.train(given)
    mlrun.train({**given, "deterministic": True})
    assert not torch.are_deterministic_algorithms_enabled()


def test_effect_of_threads(store: str) -> None:
    run = mlrun.train({**QUICK, "threads": 3})
    assert logged(run.run_id).data.tags["mlrun.threads"] == "3"


def test_the_average_is_what_is_drawn_tested_and_kept(store: str, tmp_path: Path) -> None:
    code = """
def witness(view):
    import numpy as np
    seen, told = view.evaluation("train").loss, dict(view.history["train/loss"])[view.epoch]
    assert abs(seen - told) < 1e-6, f"drew a model of loss {seen}, evaluated was {told}"
    return np.zeros((9, 9, 3), dtype="uint8")

@mlrun.hookimpl
def register_visualisers(register):
    register(witness, when="epoch")
"""
    drawn = {"visualisers": "witness", "plugin": plugin(tmp_path, code), "evaluate_train": True}
    run = mlrun.train({**QUICK, **drawn, "ema": 0.99, "normalisation": "none"})
    assert run.failures == {}
    kept = torch.load(io.BytesIO(read(run.run_id, "checkpoints/epoch-1.pt")), weights_only=True)
    weights = kept["model"]
    pixels = load_digits().test.images.flatten(1) / 255
    hidden = F.linear(pixels, weights["fc1.weight"], weights["fc1.bias"]).relu()
    logits = F.linear(hidden, weights["out.weight"], weights["out.bias"])
    tested = np.load(io.BytesIO(read(run.run_id, "predictions/test.npz")))
    assert np.allclose(tested["logits"], logits.numpy(), atol=1e-5)
