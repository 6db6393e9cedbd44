"""The losses that a model may carry: their numbers, and what carrying one changes."""

from __future__ import annotations

import copy
import io
import math
from typing import Any

import numpy as np
import pytest
import torch
from mlflow import MlflowClient
from mlrun_models.losses import sigmoid_distance, softmax_nll
from runs import QUICK, read
from torch import nn

import mlrun
from mlrun.errors import MlrunError
from mlrun.seam.registry import discover
from mlrun.training.losses import criterion
from mlrun.training.optimisation.patience import Patience

NAMES = ("sigmoid-distance", "softmax-nll")
MODELS = ("logistic", "mlp", "cnn", "lenet")


def build(name: str, **options: Any) -> nn.Module:
    torch.manual_seed(0)
    model: nn.Module = discover().find("model", name).function((1, 16, 16), 3, **options)
    return model


def by_hand(name: str, outputs: list[float], label: int) -> float:
    """The loss of one example, in plain Python."""
    if name == "softmax-nll":
        return -math.exp(outputs[label]) / sum(math.exp(output) for output in outputs)
    targets = [1.0 if place == label else 0.0 for place in range(len(outputs))]
    squashed = [1 / (1 + math.exp(-output)) for output in outputs]
    distances = [abs(target - value) for target, value in zip(targets, squashed, strict=True)]
    return sum(distances) / len(distances)


def mean_by_hand(name: str, outputs: list[list[float]], labels: list[int]) -> float:
    losses = [by_hand(name, row, label) for row, label in zip(outputs, labels, strict=True)]
    return sum(losses) / len(losses)


@pytest.mark.parametrize("name", NAMES)
def test_a_loss_is_what_is_computed_by_hand(name: str) -> None:
    loss = {"sigmoid-distance": sigmoid_distance, "softmax-nll": softmax_nll}[name]
    drawn = torch.Generator().manual_seed(0)
    outputs = torch.randn(20, 5, generator=drawn) * 3
    labels = torch.arange(20) % 5
    expected = [
        by_hand(name, row, label)
        for row, label in zip(outputs.tolist(), labels.tolist(), strict=True)
    ]
    found = loss(outputs, labels)
    assert found.shape == (20,)
    assert found.tolist() == pytest.approx(expected, rel=1e-5)


def test_losses_of_outputs_that_say_nothing_are_known() -> None:
    zeros, labels = torch.zeros(4, 10), torch.arange(4)
    assert sigmoid_distance(zeros, labels).tolist() == pytest.approx([0.5] * 4)
    assert softmax_nll(zeros, labels).tolist() == pytest.approx([-0.1] * 4)
    assert sigmoid_distance(zeros - 50, labels).tolist() == pytest.approx([0.1] * 4)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", NAMES)
def test_a_model_is_the_same_but_for_its_loss(model: str, name: str) -> None:
    plain, other = build(model), build(model, loss=name)
    assert not hasattr(plain, "loss")
    assert plain.state_dict().keys() == other.state_dict().keys()
    assert [n for n, _ in plain.named_modules()] == [n for n, _ in other.named_modules()]
    images, labels = torch.randn(6, 1, 16, 16), torch.arange(6) % 3
    copied = copy.deepcopy(other)
    expected = mean_by_hand(name, plain(images).tolist(), labels.tolist())
    for one in (other, copied):
        assert torch.equal(one(images), plain(images))
        found = criterion(one)(one(images), labels)
        assert found.item() == pytest.approx(expected, rel=1e-5)
        found.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in one.parameters())


def test_a_run_is_trained_evaluated_and_served_with_it(store: str) -> None:
    settings = {**QUICK, "epochs": 2, "lr": 0.01, "log_model": True}
    run = mlrun.train({**settings, "model.loss": "sigmoid-distance"})
    assert run.failures == {}
    assert MlflowClient().get_run(run.run_id).outputs.model_outputs
    tested = np.load(io.BytesIO(read(run.run_id, "predictions/test.npz")))
    expected = mean_by_hand(
        "sigmoid-distance", tested["logits"].tolist(), tested["labels"].tolist()
    )
    assert run.metrics["test/loss"] == pytest.approx(expected, rel=1e-4)
    losses = [m.value for m in MlflowClient().get_metric_history(run.run_id, "val/loss")]
    assert 0.4 < losses[0] < 0.6
    assert losses == sorted(losses, reverse=True)


def test_label_smoothing_does_not_go_with_it(store: str) -> None:
    with pytest.raises(MlrunError, match="it has a loss of its own, which label_smoothing and"):
        mlrun.train({**QUICK, "model.loss": "softmax-nll", "label_smoothing": 0.1})
    with pytest.raises(MlrunError, match=r"model\.loss: expected one of cross-entropy\|sigmoid"):
        mlrun.train({**QUICK, "model.loss": "softmax"})


def test_patience_takes_a_lower_loss_below_zero_for_better() -> None:
    waits = Patience("val/loss", 2, threshold=1e-4)
    assert [waits.exhausted(v) for v in (-0.5, -0.6, -0.59999, -0.59999)] == [False] * 3 + [True]
