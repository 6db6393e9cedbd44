"""What only a machine with a CUDA GPU can show: `pytest -m cuda`. Skipped where there is none."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from mlflow import MlflowClient
from runs import Recorder, logged
from several import trained_together
from torch import nn

import mlrun
from mlrun.errors import MlrunError
from mlrun.machine.devices import resolve
from mlrun.machine.group import ALONE
from mlrun.machine.place import Place
from mlrun.training.synchronised import Synchronised

GPUS = torch.cuda.device_count()
pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not GPUS, reason="there is no CUDA GPU here"),
]
SETTINGS: dict[str, object] = {
    "model": "cnn",
    "model.batch_norm": True,
    "model.dropout": 0.1,
    "device": "cuda",
    "epochs": 2,
    "lr": 0.01,
    "visualisers": "none",
    "log_model": False,
}
AUGMENTED: dict[str, object] = {
    **{"rotate": 10, "translate": 0.1, "crop": 1, "flip": "horizontal", "erase": 0.2},
    **{"noise": 0.05, "mixup": 0.4, "cutmix": 1.0, "ema": 0.9, "clip_norm": 1, "accumulate": 2},
}


class Watching(Recorder):
    """Has every operation between two steps of an epoch that would wait for the GPU raise."""

    def start(self, steps: int, steps_an_epoch: int, examples: int) -> None:
        self.steps, self.done = steps_an_epoch, 0

    def step(self, *told: object) -> None:
        self.done += 1
        place = self.done % self.steps
        if place == 1:  # the first step chooses algorithms, and may wait
            torch.cuda.set_sync_debug_mode("error")
        elif place == 0:
            torch.cuda.set_sync_debug_mode("default")


def metrics(run_id: str) -> Mapping[str, float]:
    """The last value of each metric but those of a clock."""
    found: Mapping[str, float] = MlflowClient().get_run(run_id).data.metrics
    return {name: value for name, value in found.items() if "second" not in name}


@pytest.mark.parametrize("precision", ["32", "bf16", "16"])
def test_a_run_on_a_gpu_learns_what_one_on_the_processor_does(store: str, precision: str) -> None:
    settings = {**SETTINGS, "model.dropout": 0, "epochs": 4}
    ours = mlrun.train({**settings, "precision": precision})
    theirs = mlrun.train({**settings, "device": "cpu"})
    assert logged(ours.run_id).data.tags["mlrun.device"].startswith("cuda")
    assert ours.metrics["test/accuracy"] > 0.9
    assert ours.metrics["test/loss"] == pytest.approx(theirs.metrics["test/loss"], abs=0.1)


@pytest.mark.parametrize("changed", [{}, {"precision": "bf16"}, AUGMENTED], ids=str)
def test_no_step_waits_for_the_gpu(store: str, changed: Mapping[str, object]) -> None:
    try:
        run = mlrun.train({**SETTINGS, **changed}, progress=Watching())
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert run.failures == {}


def test_a_run_that_goes_on_comes_to_the_same_bits(store: str) -> None:
    settings = {**SETTINGS, "deterministic": True}
    whole = mlrun.train({**settings, "epochs": 3})
    again = mlrun.train({**settings, "epochs": 3})
    first = mlrun.train(settings)
    longer = mlrun.resume(first.run_id, longer={"epochs": 3})
    digests = {
        logged(run.run_id).data.tags["mlrun.weights_sha256"] for run in (whole, again, longer)
    }
    assert len(digests) == 1


def test_pictures_the_report_and_a_servable_model_are_made(store: str) -> None:
    visualisers = "weights,feature-maps,confusion-matrix,saliency"
    run = mlrun.train({**SETTINGS, "log_model": True, "visualisers": visualisers})
    assert run.failures == {}


def test_synchronised_batch_normalisation_is_torchs_own_and_waits_for_nothing() -> None:
    images = torch.randn(64, 3, 8, 8, device="cuda")
    layers = [nn.BatchNorm2d(3).cuda() for _ in range(2)]
    ours, theirs = (images.clone().requires_grad_() for _ in layers)
    weights = torch.randn_like(images)
    torch.cuda.set_sync_debug_mode("error")
    try:
        with Synchronised(ALONE, counts=True):
            (layers[0](ours) * weights).sum().backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    (layers[1](theirs) * weights).sum().backward()
    assert ours.grad is not None
    assert theirs.grad is not None
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(layers[0].running_var, layers[1].running_var)


def test_more_processes_than_gpus_are_refused() -> None:
    with pytest.raises(MlrunError, match=f"{GPUS + 1} processes .*, and {GPUS} cuda device"):
        resolve("cuda", Place(0, GPUS + 1, 0, GPUS + 1))


@pytest.mark.skipif(GPUS < 2, reason="two processes need two GPUs")
def test_two_processes_on_two_gpus_come_to_the_losses_of_one(store: str) -> None:
    settings = {**SETTINGS, "precision": "32", "model.dropout": 0, "sync_batch_norm": True}
    options = {name.replace("_", "-"): value for name, value in settings.items()}
    together = trained_together(2, {**options, "subset": 403}).stdout.strip()
    alone = mlrun.train({**settings, "subset": 403}).run_id
    assert metrics(together) == pytest.approx(metrics(alone), rel=0.02, abs=0.02)
