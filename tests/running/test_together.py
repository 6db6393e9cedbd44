"""Several processes train one run together, and come to what one process comes to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from runs import TIMES, logged
from several import trained_by_script

import mlrun

DOUBLE = '''
import mlrun
import torch
import torch.nn.functional as F
from torch import nn

class Double(nn.Module):
    """In float64, so that rounding is told from faults."""

    def __init__(self, shape, classes):
        super().__init__()
        self.first = nn.Conv2d(shape[0], 4, 3).double()
        self.rest = nn.Sequential(nn.Tanh(), nn.Flatten(), nn.Linear(4 * 36, classes)).double()

    def forward(self, images):
        return self.rest(self.first(images.double()))

class Margin(Double):
    """The same with a loss of its own, one value for each example, and a layer never used."""

    def __init__(self, shape, classes):
        super().__init__(shape, classes)
        self.unused = nn.Linear(3, 3)

    def loss(self, outputs, labels):
        return F.multi_margin_loss(outputs, labels, reduction="none")

class Skips(Double):
    """The same with a layer that takes part in some steps only, drawn by each process."""

    def __init__(self, shape, classes):
        super().__init__(shape, classes)
        self.more = nn.Linear(classes, classes).double()

    def forward(self, images):
        logits = super().forward(images)
        skipped = self.training and torch.rand(()) < 0.5
        return logits if skipped else self.more(logits)

def double(shape, classes):
    """A small convolutional network in float64."""
    return Double(shape, classes)

def margin(shape, classes):
    """The same with a loss of its own."""
    return Margin(shape, classes)

def skips(shape, classes):
    """The same with a layer that takes part in some steps only."""
    return Skips(shape, classes)

@mlrun.hookimpl
def register_models(register):
    register(skips)
    register(double)
    register(margin)
'''
COMMON: dict[str, object] = {
    "model": "double",
    "subset": 203,
    "validation": 0.25,
    "batch_size": 16,
    "epochs": 2,
    "visualisers": "none",
    "log_model": False,
    "report": False,
}
MIXED: dict[str, object] = {
    **COMMON,
    "accumulate": 2,
    "optimiser": "adam",
    "lr": 0.01,
    "schedule": "cosine",
    "mixup": 0.4,
    "cutmix": 1.0,
    "ema": 0.9,
    "rotate": 10,
    "noise": 0.05,
    "crop": 1,
    "class_weights": "balanced",
    "label_smoothing": 0.1,
    "clip_norm": 1,
    "test_variants": "rotate=10+noise=0.1",
    "log_every": 1,
    "evaluate_every": "5steps",
    "visualisers": "confusion-matrix",
}
ALL = {
    "mixed": MIXED,
    "sum": {
        **COMMON,
        "reduction": "sum",
        "lr": 0.001,
        "drop_last": True,
        "optimiser": "sgd",
        "momentum": 0.9,
    },
    "own loss": {**COMMON, "model": "margin", "weight_decay": 0.01, "evaluate_train": True},
    "one row": {**COMMON, "batch_size": 151, "accumulate": 1},  # of the last batch
    "features": {**COMMON, "part_lrs": "first=0", "schedule": "plateau"},
    "float32": {**COMMON, "model": "cnn", "subset": 600, "steps": 20},
}


@pytest.fixture
def plugin(home: Path) -> Path:
    """A file with the model `double`."""
    path = home / "double.py"
    path.write_text(DOUBLE)
    return path


def history(run_id: str) -> dict[str, list[tuple[int, float]]]:
    """Every metric that a run logged, with all its steps, but for times."""
    client = MlflowClient()
    return {
        name: [(one.step, one.value) for one in client.get_metric_history(run_id, name)]
        for name in client.get_run(run_id).data.metrics
        if name not in (*TIMES, "frozen_seconds_saved")
    }


def predictions(run_id: str) -> np.ndarray:
    """The logits that a run has of the test part, float32 (N, K)."""
    path = MlflowClient().download_artifacts(run_id, "predictions/test.npz")
    with np.load(path) as arrays:
        logits: np.ndarray = arrays["logits"]
    return logits


def assert_same(ours: str, theirs: str, tolerance: float) -> None:
    """Fails where two runs logged other metrics, at other steps, or values further apart."""
    here, there = history(ours), history(theirs)
    assert here.keys() == there.keys(), here.keys() ^ there.keys()
    for name, pairs in here.items():
        assert [step for step, _ in pairs] == [step for step, _ in there[name]], name
        values = [[value for _, value in some] for some in (pairs, there[name])]
        # a mixed image counts by its label's share, in float32
        most = max(tolerance, 1e-7) if "accuracy" in name else tolerance
        np.testing.assert_allclose(*values, rtol=most, atol=most, err_msg=name)


@pytest.mark.parametrize(
    ("processes", "names"),
    [
        (2, ["mixed", "one row"]),
        pytest.param(2, list(ALL), marks=pytest.mark.slow),
        pytest.param(4, list(ALL), marks=pytest.mark.slow),
    ],
)
def test_several_processes_come_to_the_losses_of_one(
    store: str, plugin: Path, processes: int, names: list[str]
) -> None:
    settings = {name: {"plugin": str(plugin), **ALL[name]} for name in names}
    runs = trained_by_script(processes, list(settings.values()))
    for (name, each), together in zip(settings.items(), runs, strict=True):
        alone = mlrun.train(each).run_id
        assert_same(together, alone, 1e-5 if name == "float32" else 1e-9)
        np.testing.assert_allclose(predictions(together), predictions(alone), atol=1e-5)
        run = logged(together)
        assert (run.info.status, run.data.params["processes"]) == ("FINISHED", str(processes))
        assert ("mlrun.frozen_features" in run.data.tags) == (name == "features")
    assert len(MlflowClient().search_runs(["0"])) == 2 * len(names)  # rank 0 alone records


@pytest.mark.slow
def test_a_layer_may_be_left_out_by_a_draw_that_is_another_in_each_process(
    store: str, plugin: Path
) -> None:
    settings = {**COMMON, "plugin": str(plugin), "model": "skips", "momentum": 0.9}
    first, second = trained_by_script(2, [{**settings, "optimiser": "sgd"}] * 2)
    assert_same(first, second, 0)
    assert history(first)["train/loss"][2][1] < history(first)["train/loss"][0][1]
