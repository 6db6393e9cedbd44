"""The architectures of five published systems: their parameters and the shapes of each layer."""

from __future__ import annotations

from math import prod
from typing import Any

import pytest
import torch
from torch import nn

from mlrun.seam.registry import discover

Shape = tuple[int, ...]
GREY = (1, 28, 28)
PHOTOGRAPH = (3, 427, 640)  # as scikit-learn ships them


def build(name: str, shape: tuple[int, int, int], classes: int, **options: Any) -> nn.Module:
    torch.manual_seed(0)
    built: nn.Module = discover().find("model", name).function(shape, classes, **options)
    return built


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def linear(inputs: int, outputs: int, *, bias: bool = True) -> int:
    """The parameters of a linear layer."""
    return (inputs + bias) * outputs


def convolution(inputs: int, outputs: int, kernel: int) -> int:
    """The parameters of a convolution with biases."""
    return (inputs * kernel * kernel + 1) * outputs


def slid(size: int, kernel: int, *, stride: int = 1, padding: int = 0) -> int:
    """How many places a kernel takes along one side of an image."""
    return (size + 2 * padding - kernel) // stride + 1


def shapes(model: nn.Module, shape: Shape) -> dict[str, Shape]:
    """What each layer puts out for one image, without the batch."""
    found: dict[str, Shape] = {}
    for name, layer in model.named_modules():
        if not list(layer.children()):

            def keep(_: nn.Module, __: object, output: torch.Tensor, name: str = name) -> None:
                found[name] = tuple(output.shape[1:])

            layer.register_forward_hook(keep)
    with torch.no_grad():
        model.eval()(torch.zeros(1, *shape))
    return found


def test_a_the_perceptron_of_twenty() -> None:
    options: dict[str, Any] = {"activation": "sigmoid", "batch_norm": True, "bias": False}
    model = build("mlp", GREY, 10, widths=(20,), **options)
    norm = 2 * 20
    expected = linear(784, 20, bias=False) + norm + linear(20, 10, bias=False)
    assert parameters(model) == expected == 15_920
    assert shapes(model, GREY) == {
        "flatten": (784,), "fc1": (20,), "norm1": (20,), "act1": (20,), "out": (10,)
    }  # fmt: skip
    assert isinstance(model.act1, nn.Sigmoid)
    dropped = build("mlp", GREY, 10, widths=(20,), dropout=0.2, **options)
    assert parameters(dropped) == 15_920
    assert dropped.drop1.p == 0.2


def test_a_the_deeper_perceptron() -> None:
    model = build(
        "mlp", GREY, 10, widths=(20, 20, 20), activation="sigmoid", batch_norm=True, bias=False
    )
    hidden = linear(784, 20, bias=False) + 2 * linear(20, 20, bias=False)
    assert parameters(model) == hidden + 3 * 2 * 20 + linear(20, 10, bias=False) == 16_800
    assert [shapes(model, GREY)[f"fc{number}"] for number in (1, 2, 3)] == [(20,)] * 3


def test_b_logistic_regression_and_the_perceptron_of_thirty() -> None:
    assert parameters(build("logistic", GREY, 10)) == linear(784, 10) == 7_850
    model = build("mlp", GREY, 10, widths=(30,))
    assert parameters(model) == linear(784, 30) + linear(30, 10) == 23_860
    assert isinstance(model.act1, nn.ReLU)


def test_b_the_convolutional_network() -> None:
    model = build("cnn", GREY, 10, channels=(4, 8))
    expected = convolution(1, 4, 3) + convolution(4, 8, 3) + linear(8 * 7 * 7, 10)
    assert parameters(model) == expected == 4_266
    assert shapes(model, GREY) == {
        "conv1": (4, 28, 28), "act1": (4, 28, 28), "pool1": (4, 14, 14),
        "conv2": (8, 14, 14), "act2": (8, 14, 14), "pool2": (8, 7, 7),
        "flatten": (392,), "out": (10,),
    }  # fmt: skip


@pytest.mark.parametrize("built_for", [PHOTOGRAPH, (3, 64, 64)])
def test_b_alexnet_on_a_photograph_whatever_images_it_is_built_for(
    built_for: tuple[int, int, int],
) -> None:
    model = build("torchvision", built_for, 10, arch="alexnet", classifier=(32,), train=("head",))
    sides = PHOTOGRAPH[1:]
    first = tuple(slid(side, 11, stride=4, padding=2) for side in sides)
    pooled = tuple(slid(side, 3, stride=2) for side in first)
    second = tuple(slid(side, 5, padding=2) for side in pooled)
    both = tuple(slid(side, 3, stride=2) for side in second)
    assert (first, both) == ((106, 159), (25, 39))
    found = shapes(model, PHOTOGRAPH)
    assert found["features.0"] == found["features.1"] == (64, *first)
    assert found["features.2"] == (64, *pooled)
    assert found["features.3"] == found["features.4"] == (192, *second)
    assert found["features.5"] == (192, *both)
    assert found["features.12"][0] == 256
    assert found["classifier.fc1"] == (32,)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert trained == linear(256 * 6 * 6, 32) + linear(32, 10)


def test_b_alexnet_as_it_was_published() -> None:
    with torch.device("meta"):
        model = build("torchvision", (3, 224, 224), 1000, arch="alexnet")
    sizes = [(3, 64, 11), (64, 192, 5), (192, 384, 3), (384, 256, 3), (256, 256, 3)]
    features = sum(convolution(*size) for size in sizes)
    dense = linear(256 * 6 * 6, 4096) + linear(4096, 4096) + linear(4096, 1000)
    assert parameters(model) == features + dense == 61_100_840  # torchvision's own figure


def test_c_lenet() -> None:
    model = build("lenet", GREY, 10)
    features = convolution(1, 6, 5) + convolution(6, 16, 5)
    dense = linear(16 * 4 * 4, 120) + linear(120, 84) + linear(84, 10)
    assert parameters(model) == features + dense == 44_426
    found = shapes(model, GREY)
    assert found == {
        "conv1": (6, 24, 24), "pool1": (6, 12, 12), "act1": (6, 12, 12),
        "conv2": (16, 8, 8), "pool2": (16, 4, 4), "act2": (16, 4, 4),
        "flatten": (256,), "fc1": (120,), "act3": (120,), "fc2": (84,), "act4": (84,),
        "out": (10,),
    }  # fmt: skip
    assert [slid(28, 5), slid(12, 5)] == [found["conv1"][1], found["conv2"][1]]


def test_c_the_dense_network_beside_it() -> None:
    model = build("mlp", GREY, 10, widths=(250, 100))
    assert parameters(model) == linear(784, 250) + linear(250, 100) + linear(100, 10) == 222_360


def test_d_logistic_regression_for_letters() -> None:
    assert parameters(build("logistic", GREY, 26)) == linear(784, 26) == 20_410


def test_d_the_minimal_convolutional_network() -> None:
    model = build("cnn", GREY, 26, channels=(4,), kernel=5, padding="none", pool=False)
    side = slid(28, 5)
    assert parameters(model) == convolution(1, 4, 5) + linear(4 * side * side, 26) == 60_034
    assert shapes(model, GREY) == {
        "conv1": (4, 24, 24), "act1": (4, 24, 24), "flatten": (2304,), "out": (26,)
    }  # fmt: skip


def test_d_a_deeper_network() -> None:
    model = build("cnn", GREY, 26, channels=(16, 32), hidden=(128, 64))
    features = convolution(1, 16, 3) + convolution(16, 32, 3)
    dense = linear(32 * 7 * 7, 128) + linear(128, 64) + linear(64, 26)
    assert parameters(model) == features + dense == 215_578
    assert shapes(model, GREY) == {
        "conv1": (16, 28, 28), "act1": (16, 28, 28), "pool1": (16, 14, 14),
        "conv2": (32, 14, 14), "act2": (32, 14, 14), "pool2": (32, 7, 7),
        "flatten": (1568,), "fc1": (128,), "act3": (128,), "fc2": (64,), "act4": (64,),
        "out": (26,),
    }  # fmt: skip


def test_e_the_two_layer_net() -> None:
    model = build("mlp", GREY, 10, widths=(500,), loss="sigmoid-distance")
    assert parameters(model) == linear(prod(GREY), 500) + linear(500, 10) == 397_510
    assert shapes(model, GREY) == {"flatten": (784,), "fc1": (500,), "act1": (500,), "out": (10,)}
