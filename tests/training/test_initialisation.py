"""Weights that are drawn by name, against torch.nn.init."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from runs import QUICK, plugin, without
from small_training import training
from torch import nn
from torch.nn import init

from mlrun.errors import MlrunError
from mlrun.machine.randomness import generator
from mlrun.preparing.prepared import prepare
from mlrun.settings import Settings
from mlrun.settings.plan import make_plan
from mlrun.training.initialisation import WEIGHTS, initialise

CPU = torch.device("cpu")
SCALED = {
    "xavier-uniform": init.xavier_uniform_,
    "xavier-normal": init.xavier_normal_,
    "kaiming-uniform": init.kaiming_uniform_,
    "kaiming-normal": init.kaiming_normal_,
    "orthogonal": init.orthogonal_,
}


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ConvTranspose2d(4, 2, 2, bias=False),
        nn.Flatten(),
        nn.Linear(18, 3),
        nn.Embedding(3, 2),
    )


@pytest.mark.parametrize("name", SCALED)
def test_weights_are_torch_s_and_biases_nought(name: str) -> None:
    model, source = network(), generator(3, "initialisation", "weights")
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    initialise(model, name, 3)
    options = {"nonlinearity": "relu"} if name.startswith("kaiming") else {}
    for place in ("0", "2", "4"):
        expected = SCALED[name](
            torch.empty_like(before[f"{place}.weight"]), generator=source, **options
        )
        assert torch.equal(model.get_submodule(place).weight, expected)
    assert not model[0].bias.any()
    assert not model[4].bias.any()
    for key in ("1.weight", "1.bias", "1.running_var", "5.weight"):
        assert torch.equal(model.state_dict()[key], before[key])


def test_normal_is_standard_normal_for_weights_and_biases() -> None:
    model = nn.Linear(500, 2000)
    initialise(model, "normal", 0)
    source = generator(0, "initialisation", "weights")
    assert torch.equal(model.weight, torch.randn(2000, 500, generator=source))
    for drawn in (model.weight, model.bias):
        quantiles = (
            drawn.detach().flatten().double().quantile(torch.tensor([0.16, 0.5, 0.84]).double())
        )
        assert quantiles.tolist() == pytest.approx([-0.994, 0, 0.994], abs=0.08)
        assert drawn.mean().item() == pytest.approx(0, abs=4 / drawn.numel() ** 0.5)
        assert drawn.std().item() == pytest.approx(1, abs=4 / drawn.numel() ** 0.5)


def test_the_settings_names_are_those_that_can_be_drawn() -> None:
    for name in ("default", *WEIGHTS):
        assert Settings.parse({"initialisation": name}).initialisation == name
    assert set(WEIGHTS) == {"normal", *SCALED}


def test_the_draw_follows_the_seed_and_nothing_else() -> None:
    def drawn(seed: int, name: str = "normal") -> torch.Tensor:
        torch.rand(7)
        return training(network_of_digits(), initialisation=name, seed=seed).state.model[1].weight

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))
    assert not torch.equal(drawn(1, "default"), drawn(1, "default"))


def network_of_digits() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 3))


def test_what_is_frozen_stays_as_it_is() -> None:
    model = network_of_digits()
    model[1].bias.requires_grad_(False)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    training(model, initialisation="normal", part_lrs={"3": 0})
    same = {key for key, tensor in model.state_dict().items() if torch.equal(tensor, before[key])}
    assert same == {"1.bias", "3.weight", "3.bias"}


def test_the_average_starts_from_the_weights_that_are_drawn() -> None:
    state = training(network_of_digits(), initialisation="orthogonal", ema=0.9).state
    assert torch.equal(state.evaluated[1].weight, state.model[1].weight)


def test_lazy_layers_are_drawn_once_they_have_a_shape(tmp_path: Path) -> None:
    code = """
def lazy(shape, classes):
    from torch import nn
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(classes))

@mlrun.hookimpl
def register_models(register):
    register(lazy)
"""
    given = {**without(QUICK, "model.widths"), "model": "lazy", "plugin": plugin(tmp_path, code)}
    plan = make_plan(Settings.parse({**given, "initialisation": "kaiming-normal"}))
    prepared = prepare(plan, CPU)
    source = generator(0, "initialisation", "weights")
    first = init.kaiming_normal_(torch.empty(8, 64), nonlinearity="relu", generator=source)
    assert torch.equal(prepared.model[1].weight, first)


def normed() -> nn.Sequential:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nn.Sequential(nn.utils.weight_norm(nn.Linear(4, 2)))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            lambda: nn.Sequential(nn.LazyLinear(2)),
            "initialisation: the weight of layer 0 has no shape yet, so it cannot be drawn anew; ",
        ),
        (
            lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 2))),
            "initialisation: the weight of layer 0 is computed from others, so it cannot be drawn",
        ),
        (normed, "initialisation: the weight of layer 0 is computed from others, so it cannot be"),
        (
            lambda: network()[1:2],
            "initialisation normal: it has no linear or convolutional layer that is trained; ",
        ),
        (
            lambda: network().requires_grad_(False),
            "initialisation normal: it has no linear or convolutional layer that is trained; ",
        ),
    ],
)
def test_what_cannot_be_drawn_is_one_line(model: object, message: str) -> None:
    with pytest.raises(MlrunError) as caught:
        initialise(model(), "normal", 0)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
