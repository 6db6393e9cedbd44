"""The loop, evaluation, checkpoints: against torch written out, and scikit-learn."""

from __future__ import annotations

import copy
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import small_training
import torch
import torch.nn.functional as F
from sklearn import metrics as sklearn_metrics
from small_training import NORMALISATION, batches, network, selection, training
from torch import Tensor, nn

from mlrun.data.normalisation import Normalisation
from mlrun.machine.randomness import derive_seed, generator
from mlrun.settings import Settings
from mlrun.training.checkpoints import digest
from mlrun.training.evaluation import evaluate
from mlrun.training.losses import criterion
from mlrun.training.optimisation.optimisers import make_optimiser
from mlrun.training.reports import TrainingFailed


def test_training_is_the_loop_that_torch_s_users_would_write() -> None:
    model = network()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    given = selection()
    images, labels = (given.images.float() / 255 - 0.5) / 0.25, given.labels
    expected = []
    for epoch in (1, 2):
        order = torch.randperm(70, generator=generator(5, "order", epoch))
        losses, right = 0.0, 0
        for places in order.split(32):
            logits = model(images[places])
            loss = F.cross_entropy(logits, labels[places])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses += loss.item() * len(places)
            right += int((logits.argmax(1) == labels[places]).sum())
        expected.append((losses / 70, right / 70))
    ours = training(lr=0.05, momentum=0.9, nesterov=True).run()
    for row, (loss, accuracy) in zip(ours.recorder.epochs, expected, strict=True):
        assert row["train/loss"] == pytest.approx(loss, rel=1e-5)
        assert row["train/accuracy"] == accuracy
        assert row["lr"] == 0.05
        assert row["examples_per_second"] == pytest.approx(70 / row["epoch_seconds"])
    for a, b in zip(ours.state.model.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    assert (ours.state.epoch, ours.state.step) == (2, 6)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("sgd", torch.optim.SGD),
        ("adam", torch.optim.Adam),
        ("adamw", torch.optim.AdamW),
        ("rmsprop", torch.optim.RMSprop),
    ],
)
def test_each_optimiser_is_torch_s(name: str, kind: type[torch.optim.Optimizer]) -> None:
    found = make_optimiser(
        network(), Settings.parse({"optimiser": name, "lr": 0.5, "weight_decay": 0.1})
    )
    assert isinstance(found, kind)
    assert found.param_groups[0]["lr"] == 0.5
    assert found.param_groups[0]["weight_decay"] == 0.1


class Doubled(nn.Module):
    """A network that computes in float64, where rounding does not hide a difference."""

    def __init__(self) -> None:
        super().__init__()
        self.network = network().double()

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images.double() / 128 - 1)
        return logits


PLAIN = {
    "sgd": (torch.optim.SGD, {"momentum": 0.9}),
    "adam": (torch.optim.Adam, {"fused": False}),
    "adamw": (torch.optim.AdamW, {"fused": False, "weight_decay": 0.01}),
    "rmsprop": (torch.optim.RMSprop, {"momentum": 0.9}),
}


@pytest.mark.parametrize("name", PLAIN)
def test_what_is_fast_gives_the_plain_loop_s_numbers_over_50_steps(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In float64, against torch's own optimiser, zero_grad, floats in memory and an index."""
    kind, options = PLAIN[name]
    given = {key: value for key, value in options.items() if key != "fused"}
    monkeypatch.setattr(small_training, "NORMALISATION", Normalisation((0.0,), (1 / 255,)))
    ours = training(Doubled(), optimiser=name, lr=0.01, batch_size=8, steps=50, **given).run()
    model, data = Doubled(), selection()
    optimiser = kind(model.parameters(), lr=0.01, **options)
    images, losses, right = data.images.to(torch.float32), [], []
    for epoch in range(1, 7):
        order = torch.randperm(70, generator=generator(5, "order", epoch))
        for places in order.split(8):
            optimiser.zero_grad()
            logits = model(images[places])
            loss = F.cross_entropy(logits.float(), data.labels[places])
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
            right.append(int((logits.argmax(1) == data.labels[places]).sum()))
    assert [loss for _, loss, _, _ in ours.recorder.steps] == pytest.approx(losses[:50], rel=1e-6)
    assert [hits for _, _, hits, _ in ours.recorder.steps] == right[:50]


def test_an_optimiser_does_not_load_torch_s_compiler() -> None:
    """Which takes two seconds, at the start of every run."""
    code = """
        import sys, torch
        from mlrun.settings import Settings
        from mlrun.training.optimisation.optimisers import make_optimiser
        for name in ("sgd", "adam", "adamw", "rmsprop"):
            model = torch.nn.Linear(2, 2)
            optimiser = make_optimiser(model, Settings(optimiser=name))
            model(torch.ones(1, 2)).sum().backward()
            optimiser.step()
            optimiser.load_state_dict(optimiser.state_dict())
        print("torch._dynamo" in sys.modules)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_a_model_says_which_parameters_are_trained_at_which_rate() -> None:
    class Frozen(nn.Linear):
        def parameter_groups(self, lr: float) -> list[dict[str, object]]:
            return [{"params": [self.bias], "lr": lr / 10}]

        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images.flatten(1))

    model = Frozen(16, 3)
    weight, bias = model.weight.detach().clone(), model.bias.detach().clone()
    ours = training(model, lr=0.1, schedule="step", schedule_every=1, epochs=2).run()
    assert torch.equal(model.weight, weight)
    assert not torch.equal(model.bias, bias)
    assert [row["lr"] for row in ours.recorder.epochs] == pytest.approx([0.01, 0.001])


def test_batch_normalisation_that_is_frozen_keeps_its_statistics() -> None:
    norms = [nn.BatchNorm1d(8), nn.BatchNorm1d(8), nn.BatchNorm1d(8, affine=False)]
    norms[0].requires_grad_(False)
    norms[1].bias.requires_grad_(False)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), *norms, nn.Linear(8, 3))
    expected = copy.deepcopy(model)
    optimiser = torch.optim.SGD([p for p in expected.parameters() if p.requires_grad], lr=0.05)
    for images, labels in batches().epoch(1):
        expected.train()
        expected[2].eval()
        optimiser.zero_grad()
        F.cross_entropy(expected(images), labels).backward()
        optimiser.step()
    trained = training(model, epochs=1).run().state.model.state_dict()
    for name, theirs in expected.state_dict().items():
        torch.testing.assert_close(trained[name], theirs)
    counts = [trained[f"{place}.num_batches_tracked"].item() for place in (2, 3, 4)]
    assert counts == [0, 3, 3]


def test_a_model_s_own_loss_is_trained_on_mean_or_by_example() -> None:
    class Mean(nn.Sequential):
        def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
            return F.multi_margin_loss(outputs, labels)

    class Each(nn.Sequential):
        def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
            return F.multi_margin_loss(outputs, labels, reduction="none")

    logits, labels = torch.randn(5, 3), torch.tensor([0, 1, 2, 0, 1])
    expected = F.multi_margin_loss(logits, labels)
    for kind in (Mean, Each):
        torch.testing.assert_close(criterion(kind())(logits, labels), expected)
    default = criterion(nn.Identity())(logits, labels)
    torch.testing.assert_close(default, F.cross_entropy(logits, labels))


def test_training_that_is_taken_up_again_ends_bit_for_bit_where_it_would_have() -> None:
    settings = {"epochs": 4, "optimiser": "adam", "schedule": "cosine", "ema": 0.9, "mixup": 1}
    whole = training(network(0.5), **settings).run()
    first = training(network(0.5), **settings).run(steps=6)
    torch.rand(99)  # the world goes on in between
    second = training(network(0.5), **settings)
    second.state.load_state_dict(first.state.state_dict())
    assert (second.state.epoch, second.state.step) == (2, 6)
    second.run()
    for model in ("model", "evaluated"):
        ours, theirs = (getattr(one.state, model).state_dict() for one in (second, whole))
        assert digest(ours) == digest(theirs)
    assert digest(second.state.model.state_dict()) != digest(second.state.evaluated.state_dict())


def test_dropout_differs_between_epochs_and_seeds_do_not_leak() -> None:
    one = training(network(0.5)).run()
    two = training(network(0.5))
    torch.manual_seed(123)
    two.run()
    assert digest(one.state.model.state_dict()) == digest(two.state.model.state_dict())
    assert derive_seed(5, "model", 1) != derive_seed(5, "model", 2)


def test_a_loss_that_is_no_number_stops_training_and_says_where() -> None:
    class Diverges(nn.Sequential):
        def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
            return F.cross_entropy(outputs, labels) * float("nan")

    with pytest.raises(TrainingFailed, match="the loss is nan at step 1 of epoch 1; try a smaller"):
        training(Diverges(*network())).run()


def test_each_step_is_told_without_waiting() -> None:
    told = training(epochs=1).run().recorder.steps
    assert [(step, count) for step, _, _, count in told] == [(1, 32), (2, 32), (3, 6)]
    assert all(0 <= hits <= count and loss > 0 for _, loss, hits, count in told)


def test_an_evaluation_is_scikit_learn_s() -> None:
    model = network()
    given = batches(shuffle=False)
    found = evaluate(model, given, part="val")
    with torch.no_grad():
        logits = model(NORMALISATION(selection().images))
    torch.testing.assert_close(found.logits, logits)
    labels, predicted = selection().labels.numpy(), logits.argmax(1).numpy()
    probabilities = logits.double().softmax(1).numpy()
    assert found.loss == pytest.approx(sklearn_metrics.log_loss(labels, probabilities), rel=1e-5)
    assert found.accuracy == sklearn_metrics.accuracy_score(labels, predicted)
    expected = sklearn_metrics.confusion_matrix(labels, predicted, labels=[0, 1, 2])
    assert np.array_equal(found.confusion.numpy(), expected)
    assert found.indices.tolist() == list(range(70))


def test_evaluating_does_not_change_the_model_or_its_modes() -> None:
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(16), nn.Linear(16, 3)).train()
    model[1].eval()  # a frozen layer
    before = digest(model.state_dict())
    evaluate(model, batches(shuffle=False), part="val")
    assert digest(model.state_dict()) == before
    assert [module.training for module in model] == [True, False, True]
