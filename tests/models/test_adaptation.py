"""Networks of which a part is frozen, and classifiers in the place of a network's own."""

from __future__ import annotations

import copy

import pytest
import torch
from architectures import (
    every_architecture,
    on_no_device,
    seeded,
)
from mlrun_models import torchvision as build
from torch import nn

from mlrun import MlrunError
from mlrun.settings import Settings
from mlrun.settings.plan import make_plan
from mlrun.training.evaluation import set_training_mode

GREY, COLOUR = (1, 28, 28), (3, 32, 32)
PARAMETERS = ("weight", "bias")


def trained(model: nn.Module) -> set[str]:
    return {name for name, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (("head",), {"fc.weight", "fc.bias"}),
        (("fc",), {"fc.weight", "fc.bias"}),
        (("layer4.1.bn2", "conv1"), {"layer4.1.bn2.weight", "layer4.1.bn2.bias", "conv1.weight"}),
        (("layer*.0.downsample.0",), {f"layer{n}.0.downsample.0.weight" for n in (2, 3, 4)}),
        (("*.bias", "head"), None),
    ],
)
def test_only_the_layers_that_are_named_are_trained(
    patterns: tuple[str, ...], expected: set[str] | None
) -> None:
    model = build(GREY, 3, train=patterns)
    names = {name for name, _ in model.named_parameters()}
    if expected is None:
        expected = {name for name in names if name.endswith(".bias")} | {"fc.weight"}
    assert trained(model) == expected
    assert trained(build(GREY, 3)) == names


@pytest.mark.parametrize(
    ("arch", "head"),
    [
        ("alexnet", "classifier.6"),
        ("squeezenet1_0", "classifier.1"),
        ("densenet121", "classifier"),
        ("convnext_tiny", "classifier.2"),
        ("swin_t", "head"),
        ("maxvit_t", "classifier.5"),
        ("vit_b_16", "heads.head"),
        ("googlenet", "fc"),
        ("inception_v3", "fc"),
    ],
)
def test_the_head_is_the_layer_that_makes_the_logits(arch: str, head: str) -> None:
    with torch.device("meta"):
        names = trained(build(GREY, 7, arch=arch, train=("head",)))
    assert {name.rpartition(".")[0] for name in names} == {head}


def test_a_layer_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(
        MlrunError,
        match=r"train layer5\*: no layer has that name; .* conv1, bn1, layer1, .*, fc and",
    ):
        build(GREY, 3, train=("head", "layer5*"))
    with pytest.raises(MlrunError, match="train is empty; expected all, head, or names of conv1"):
        build(GREY, 3, train=())


def test_what_is_frozen_does_not_change_in_training_and_neither_do_its_statistics() -> None:
    model = seeded(GREY, 3, train=("layer4", "head"))
    for network in (model, copy.deepcopy(model)):
        before = copy.deepcopy(network.state_dict())
        network.eval()
        set_training_mode(network)
        optimiser = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
        network(torch.randn(4, *GREY)).square().sum().backward()
        optimiser.step()
        changed = {name for name, v in network.state_dict().items() if not v.equal(before[name])}
        assert {name.partition(".")[0] for name in changed} == {"layer4", "fc"}
        assert "layer4.0.bn1.running_mean" in changed
        assert network.training
        assert network.layer4[0].bn1.training
        assert not network.layer1[0].bn1.training


@every_architecture
def test_a_new_classifier_takes_the_place_of_all_linear_layers_at_the_end(arch: str) -> None:
    if arch.startswith("squeezenet"):
        with pytest.raises(
            MlrunError, match=rf"classifier: {arch} makes its logits by a convolution, classifier"
        ):
            build(GREY, 7, arch=arch, classifier=(9,))
        return
    own = on_no_device(arch, GREY, 7)
    model = on_no_device(arch, GREY, 7, classifier=(9,), train=("head",))
    assert model(torch.empty(2, *GREY, device="meta")).shape == (2, 7)
    new = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert [name.rpartition(".")[0].rpartition(".")[2] for name in new] == [
        *["fc1"] * 2,
        *["out"] * 2,
    ]
    inputs = next(iter(new.values())).shape[1]
    assert sum(p.numel() for p in new.values()) == inputs * 9 + 9 + 9 * 7 + 7
    rest = {name: p.shape for name, p in model.named_parameters() if name not in new}
    theirs = {name: p.shape for name, p in own.named_parameters()}
    assert rest.items() < theirs.items()
    gone = [(name, shape) for name, shape in theirs.items() if name not in rest]
    assert gone[0][1][1] == inputs
    assert {name.partition(".")[0] for name, _ in gone} == {n.partition(".")[0] for n in new}


@pytest.mark.parametrize("pattern", ["head", "classifier", "classifier.*"])
def test_a_new_classifier_is_trained_by_name_on_frozen_features(pattern: str) -> None:
    with torch.device("meta"):
        model = build(COLOUR, 5, arch="alexnet", classifier=(32, 16), train=(pattern,))
        single = build(COLOUR, 5, arch="alexnet", classifier="linear", train=(pattern,))
    assert trained(model) == {
        f"classifier.{layer}.{what}" for layer in ("fc1", "fc2", "out") for what in PARAMETERS
    }
    assert trained(single) == {f"classifier.out.{what}" for what in PARAMETERS}
    kinds = [type(layer).__name__ for layer in model.classifier]
    assert kinds == ["Flatten", "Linear", "ReLU", "Linear", "ReLU", "Linear"]
    assert single.classifier.out.weight.shape == (5, 9216)


@pytest.mark.parametrize(
    ("given", "expected"),
    [("own", "own"), ("linear", "linear"), ("64", (64,)), ("64,32", (64, 32)), ("none", ())],
)
def test_the_classifier_is_given_by_name_or_by_its_units(given: str, expected: object) -> None:
    settings = Settings.parse({"model": "torchvision", "model.classifier": given})
    assert make_plan(settings).model.options["classifier"] == expected


def test_a_classifier_that_cannot_be_is_refused() -> None:
    settings = Settings.parse({"model": "torchvision", "model.classifier": "owm"})
    with pytest.raises(MlrunError, match=r"expected own\|linear\|int,…, got 'owm'"):
        make_plan(settings)
    with pytest.raises(ValueError, match=r"classifier \(8, 0\): expected sizes of at least 1"):
        build(GREY, 3, classifier=(8, 0))
