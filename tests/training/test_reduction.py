"""A step on the sum of its losses, against torch written out."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from small_training import batches, network, training
from torch import Tensor, nn

from mlrun.data.mixing import Mixing
from mlrun.machine.randomness import derive_seed
from mlrun.settings.augmentation import MixingSettings

STEP = 36  # examples; of 70 images the second step has 34


def by_hand(
    *, lr: float, weights: Tensor | None = None, mixup: float = 0.0, clip_norm: float = 0.0
) -> tuple[nn.Module, list[float]]:
    """Two epochs on the sum of each step's losses; the network, and each epoch's mean loss."""
    model, means = network(), []
    optimiser = torch.optim.SGD(model.parameters(), lr=lr)
    for epoch in (1, 2):
        total = 0.0
        for step, (images, labels) in enumerate(batches(batch_size=STEP).epoch(epoch)):
            soft = F.one_hot(labels, 3).float()
            if mixup:
                seed = derive_seed(5, "mixing", epoch, step)
                mixed = Mixing(MixingSettings(mixup=mixup))(images, seed=seed)
                soft = mixed.share * soft + (1 - mixed.share) * soft.roll(1, 0)
                images = mixed.images
            loss = F.cross_entropy(model(images), soft, weights, reduction="sum")
            optimiser.zero_grad()
            loss.backward()
            if clip_norm:
                nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
            optimiser.step()
            total += loss.item()
        means.append(total / 70)
    return model, means


@pytest.mark.parametrize("cut", [{"batch_size": STEP}, {"batch_size": 12, "accumulate": 3}])
@pytest.mark.parametrize(
    ("settings", "same"),
    [
        ({}, {}),
        ({"class_weights": "1,2,0.5"}, {"weights": torch.tensor([1.0, 2.0, 0.5])}),
        ({"mixup": 0.4}, {"mixup": 0.4}),
        ({"clip_norm": 1}, {"clip_norm": 1}),
    ],
    ids=["plain", "class weights", "mixup", "clipped"],
)
def test_a_step_on_the_sum_is_torch_s_and_the_mean_is_reported(
    settings: dict[str, object], same: dict[str, object], cut: dict[str, object]
) -> None:
    done = training(reduction="sum", lr=0.01, **settings, **cut).run()
    model, means = by_hand(lr=0.01, **same)
    for ours, theirs in zip(done.state.model.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)
    assert [row["train/loss"] for row in done.recorder.epochs] == pytest.approx(means, rel=1e-5)
    each = [loss * count for _, loss, _, count in done.recorder.steps]
    assert [sum(each[:2]) / 70, sum(each[2:]) / 70] == pytest.approx(means, rel=1e-5)


@pytest.mark.parametrize("precision", ["32", "16"])
def test_the_sum_does_what_the_mean_does_at_a_rate_times_the_examples(precision: str) -> None:
    given = {"batch_size": 35, "precision": precision}  # two steps of 35 an epoch
    summed = training(reduction="sum", lr=0.01, **given).run()
    mean = training(lr=0.35, **given).run()
    close = {} if precision == "32" else {"rtol": 0.01, "atol": 0.001}
    for ours, theirs in zip(
        summed.state.model.parameters(), mean.state.model.parameters(), strict=True
    ):
        torch.testing.assert_close(ours, theirs, **close)


def test_a_loss_of_the_model_s_own_is_summed_too() -> None:
    class Own(nn.Sequential):
        def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
            return F.multi_margin_loss(outputs, labels)

    given = {"batch_size": 35, "epochs": 1}
    summed = training(Own(*network()), reduction="sum", lr=0.01, **given).run()
    mean = training(Own(*network()), lr=0.35, **given).run()
    for ours, theirs in zip(
        summed.state.model.parameters(), mean.state.model.parameters(), strict=True
    ):
        torch.testing.assert_close(ours, theirs)
