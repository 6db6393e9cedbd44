"""What the settings of training do to its arithmetic, against torch written out."""

from __future__ import annotations

import copy
import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.utils.class_weight import compute_class_weight
from small_training import (
    NORMALISATION,
    batches,
    evaluate_part,
    network,
    selection,
    training,
)
from torch import Tensor, nn

from mlrun.data.batches import Batches, Batching
from mlrun.data.mixing import Mixing
from mlrun.errors import MlrunError
from mlrun.machine.randomness import derive_seed
from mlrun.settings.augmentation import MixingSettings
from mlrun.training.checkpoints import digest
from mlrun.training.evaluation import Evaluation
from mlrun.training.losses import criterion
from mlrun.training.setup import class_weights


def weights_of(model: nn.Module) -> str:
    return digest(model.state_dict())


def test_steps_end_the_training_within_an_epoch() -> None:
    done = training(steps=4, epochs=99).run()
    assert (done.state.step, done.state.epoch) == (4, 2)
    assert [count for *_, count in done.recorder.steps] == [32, 32, 6, 32]
    whole = training(epochs=2).run().recorder.steps
    assert done.recorder.steps == whole[:4]
    last = done.recorder.epochs[-1]
    assert last["train/loss"] == pytest.approx(whole[3][1])


def test_accumulated_batches_train_like_one_large_batch() -> None:
    small = training(batch_size=12, accumulate=3).run()  # the last step: 12, 12 and 10
    large = training(batch_size=36).run()
    assert small.state.step == large.state.step == 4
    for a, b in zip(small.state.model.parameters(), large.state.model.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    for ours, theirs in zip(small.recorder.epochs, large.recorder.epochs, strict=True):
        assert ours["train/loss"] == pytest.approx(theirs["train/loss"], rel=1e-5)
        assert ours["train/accuracy"] == theirs["train/accuracy"]


def test_the_model_sees_no_more_than_a_batch_at_once() -> None:
    seen: list[int] = []

    class Counts(nn.Sequential):
        def forward(self, images: Tensor) -> Tensor:
            seen.append(len(images))
            return super().forward(images)

    training(Counts(*network()), batch_size=8, accumulate=4, epochs=1).run()
    assert seen == [8] * 8 + [6]


@pytest.mark.parametrize("precision", ["32", "16"])
def test_gradients_are_clipped_to_the_norm(precision: str) -> None:
    model = network()
    given = next(iter(batches().epoch(1)))
    F.cross_entropy(model(given[0]), given[1]).backward()
    norm = torch.cat([p.grad.flatten() for p in model.parameters()]).norm().item()
    before = torch.cat([p.detach().flatten() for p in network().parameters()])
    for limit, expected in ((0.01, 0.01), (0, norm), (10 * norm, norm)):
        done = training(steps=1, lr=1, clip_norm=limit, precision=precision).run()
        after = torch.cat([p.detach().flatten() for p in done.state.model.parameters()])
        close = 1e-4 if precision == "32" else 0.01
        assert (after - before).norm().item() == pytest.approx(expected, rel=close)


def test_weights_and_smoothing_together_learn_what_either_learns_alone() -> None:
    labels = (torch.arange(800) >= 780).long()  # 39 to 1, and told apart by their sign
    images = torch.where(labels == 1, 1.0, -1.0)[:, None]
    weights = class_weights("balanced", labels, 2)
    for smoothing, given in ((0.1, None), (0.0, weights), (0.1, weights)):
        torch.manual_seed(0)
        model = nn.Linear(1, 2)
        loss_of = criterion(model, label_smoothing=smoothing, weights=given)
        optimiser = torch.optim.SGD(model.parameters(), 0.5)
        for _ in range(200):
            optimiser.zero_grad()
            loss_of(model(images), labels).backward()
            optimiser.step()
        assert (model(images).argmax(1) == labels).all()


def test_a_weighted_and_smoothed_loss_is_the_same_whole_and_in_parts() -> None:
    settings = {"label_smoothing": 0.1, "class_weights": "1,2,0.5", "epochs": 1}
    whole = training(batch_size=32, **settings).run()
    parts = training(batch_size=16, accumulate=2, **settings).run()
    for one, other in zip(whole.recorder.steps, parts.recorder.steps, strict=True):
        assert one[1] == pytest.approx(other[1], rel=1e-5)


def test_label_smoothing_and_class_weights_are_torch_s() -> None:
    logits, labels = torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 1, 0])
    weights = torch.tensor([1.0, 2.0, 0.5])
    ours = criterion(nn.Identity(), label_smoothing=0.2, weights=weights)(logits, labels)
    each = F.cross_entropy(logits, labels, label_smoothing=0.2, reduction="none")
    torch.testing.assert_close(ours, (each * weights[labels]).mean())
    for settings in ({"label_smoothing": 0.2}, {"class_weights": "1,2,0.5"}):
        first = training(steps=1, **settings).run().recorder.steps[0][1]
        plain = training(steps=1).run().recorder.steps[0][1]
        images, targets = next(iter(batches().epoch(1)))
        expected = F.cross_entropy(
            network()(images),
            targets,
            weights if "class_weights" in settings else None,
            label_smoothing=settings.get("label_smoothing", 0.0),
            reduction="sum",
        )
        assert first == pytest.approx(expected.item() / 32, rel=1e-5)
        assert first != pytest.approx(plain, rel=1e-3)


def test_balanced_weights_are_scikit_learn_s_and_absent_classes_weigh_nothing() -> None:
    labels = torch.tensor([0, 0, 0, 1, 3, 3])
    found = class_weights("balanced", labels, 4)
    present = np.array([0, 1, 3])
    expected = compute_class_weight("balanced", classes=present, y=labels.numpy())
    assert found is not None
    assert found[present].tolist() == pytest.approx(expected.tolist())
    assert found[2] == 0
    with pytest.raises(MlrunError, match="class_weights has 2 numbers for 4 classes"):
        class_weights("1,2", labels, 4)


def test_a_loss_of_the_model_s_own_takes_no_smoothing_or_weights() -> None:
    class Own(nn.Sequential):
        def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
            return F.cross_entropy(outputs, labels)

    for settings in ({"label_smoothing": 0.1}, {"class_weights": "balanced"}):
        with pytest.raises(MlrunError, match="a loss of its own, which label_smoothing and"):
            training(Own(*network()), **settings).run()


@pytest.mark.parametrize("settings", [{"mixup": 0.4}, {"cutmix": 1.0}])
def test_mixed_batches_are_trained_on_soft_labels(settings: dict[str, float]) -> None:
    _, loss, hits, _ = training(steps=1, **settings).run().recorder.steps[0]
    images, labels = next(iter(batches().epoch(1)))
    mixed = Mixing(MixingSettings(**settings))(images, seed=derive_seed(5, "mixing", 1, 0))
    own, other = (F.one_hot(y, 3).float() for y in (labels, labels.roll(1)))
    soft = mixed.share * own + (1 - mixed.share) * other
    logits = network()(mixed.images)
    assert loss == pytest.approx(F.cross_entropy(logits, soft).item(), rel=1e-5)
    assert hits == pytest.approx(soft[torch.arange(32), logits.argmax(1)].sum().item(), rel=1e-5)


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("16", torch.float16)])
def test_the_forward_pass_computes_in_the_precision_asked_for(
    precision: str, dtype: torch.dtype
) -> None:
    seen = []

    class Watched(nn.Sequential):
        def forward(self, images: Tensor) -> Tensor:
            logits = super().forward(images)
            seen.append(logits.dtype)
            return logits

    done = training(Watched(*network()), precision=precision, epochs=1).run()
    assert set(seen) == {dtype}
    assert {p.dtype for p in done.state.model.parameters()} == {torch.float32}
    plain = training(epochs=1).run()
    loss = done.recorder.epochs[0]["train/loss"]
    assert loss == pytest.approx(plain.recorder.epochs[0]["train/loss"], rel=0.02)
    assert loss != plain.recorder.epochs[0]["train/loss"]


def test_a_gradient_too_small_for_16_bits_still_trains() -> None:
    class Faint(nn.Sequential):
        def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
            return F.cross_entropy(outputs, labels) * 1e-7

    model = Faint(*network())
    before = copy.deepcopy(model)
    training(model, precision="16", epochs=1, lr=1e6, batch_size=35).run()
    moved = [
        (a - b).abs().max() for a, b in zip(model.parameters(), before.parameters(), strict=True)
    ]
    assert min(moved) > 0.001


def test_training_ends_at_the_time_limit_within_an_epoch() -> None:
    done = training(epochs=50, time_limit=1e-9).run()
    assert (done.state.step, done.state.epoch) == (1, 1)
    assert done.state.stopped == "time limit of 1e-09 minutes"
    assert training(epochs=1, time_limit=60).run().state.stopped == ""


def test_evaluations_between_steps_come_when_they_are_due_and_change_nothing() -> None:
    done = training(network(0.5), evaluate_every="2 steps")
    done.evaluate = evaluate_part
    done.run()
    assert done.recorder.evaluated == [0, 2, 4, 6]
    plain = training(network(0.5)).run()
    assert plain.recorder.evaluated == []
    assert weights_of(done.state.model) == weights_of(plain.state.model)


def test_every_step_is_in_training_mode_whatever_was_evaluated() -> None:
    seen = []
    model = network(0.5).eval()
    model.register_forward_pre_hook(
        lambda module, _: seen.append((torch.is_grad_enabled(), module.training))
    )
    evaluated = training(model, evaluate_every="2 steps")
    evaluated.evaluate = evaluate_part
    evaluated.run()
    assert seen.count((True, True)) == 6
    assert set(seen) == {(True, True), (False, False)}


def test_the_time_of_evaluations_between_steps_is_not_counted() -> None:
    def slow(model: nn.Module, part: str) -> Evaluation:
        time.sleep(0.5)
        return evaluate_part(model, part)

    done = training(evaluate_every="3 steps", epochs=1)
    done.evaluate = slow
    assert done.run().recorder.epochs[0]["epoch_seconds"] < 0.5


def test_what_changes_the_images_is_given_epoch_and_step_and_is_left_out_of_evaluation() -> None:
    told = []

    def change(images: Tensor, epoch: int, step: int, part: object) -> Tensor:
        told.append((epoch, step))
        return images * 0

    given = batches(change=change)
    assert all(not images.any() for images, _ in given.epoch(3))
    assert told == [(3, 0), (3, 1), (3, 2)]
    plain = torch.cat([images for images, _ in Batches(given.store, Batching(256)).epoch(0)])
    assert torch.equal(plain, NORMALISATION(selection().images))
