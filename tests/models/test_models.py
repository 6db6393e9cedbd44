"""The first-party models have their options and numbers; test_contract_models.py has the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from checkouts import ROOT
from torch import nn

from mlrun import MlrunError
from mlrun.seam.conversion import as_text
from mlrun.seam.registry import discover
from mlrun.settings import Settings
from mlrun.settings.plan import make_plan

MODELS = [component.name for component in discover().of_kind("model")]


def build(name: str, shape: tuple[int, int, int], classes: int, **options: Any) -> nn.Module:
    torch.manual_seed(0)
    built: nn.Module = discover().find("model", name).function(shape, classes, **options)
    return built


@pytest.mark.parametrize("name", MODELS)
def test_every_component_is_documented(name: str) -> None:
    component = discover().find("model", name)
    assert component.summary.endswith(".")
    assert all(option.help for option in component.options)


def test_the_page_on_models_shows_every_one_with_all_its_options() -> None:
    page = (ROOT / "docs" / "models.md").read_text()
    sections = dict(section.split("\n", 1) for section in page.split("\n## ")[1:])
    components = [c for c in discover().of_kind("model") if c.plugin == "mlrun-models"]
    assert sorted(sections) == sorted(c.name for c in components)
    for component in components:
        for option in component.options:
            shown = f"`--model.{option.name.replace('_', '-')}` ({as_text(option.default)}"
            assert shown.removesuffix(".0") in sections[component.name]


def test_what_is_built_does_not_take_the_place_of_what_builds() -> None:
    for name in MODELS:
        build(name, (1, 28, 28), 10)
    assert discover().broken == []
    assert all(callable(component.function) for component in discover().components)


def test_logistic_regression_does_without_bias() -> None:
    model = build("logistic", (1, 28, 28), 10, bias=False)
    assert {name: tuple(p.shape) for name, p in model.named_parameters()} == {
        "out.weight": (10, 784)
    }


@pytest.mark.parametrize(
    ("options", "layers"),
    [
        ({}, ["Flatten", "Linear", "ReLU", "Linear"]),
        ({"activation": "gelu"}, ["Flatten", "Linear", "GELU", "Linear"]),
        ({"batch_norm": True}, ["Flatten", "Linear", "BatchNorm1d", "ReLU", "Linear"]),
        ({"dropout": 0.5}, ["Flatten", "Linear", "ReLU", "Dropout", "Linear"]),
        ({"widths": ()}, ["Flatten", "Linear"]),
        ({"widths": (3, 2)}, ["Flatten", "Linear", "ReLU", "Linear", "ReLU", "Linear"]),
    ],
)
def test_each_option_of_the_perceptron_changes_it(
    options: dict[str, Any], layers: list[str]
) -> None:
    model = build("mlp", (1, 4, 4), 3, **options)
    assert [type(module).__name__ for module in model.children()] == layers


@pytest.mark.parametrize("name", ["cnn", "lenet"])
def test_each_option_of_the_convolutional_networks_changes_them(name: str) -> None:
    def kinds(**options: Any) -> set[str]:
        model = build(name, (1, 28, 28), 10, **options)
        return {type(module).__name__ for module in model.children()}

    plain = kinds()
    assert kinds(batch_norm=True) - plain == {"BatchNorm2d"}
    assert kinds(dropout=0.2) - plain == {"Dropout"}
    assert kinds(activation="tanh") - plain == {"Tanh"}


def test_the_kernel_and_channels_of_cnn_are_as_asked() -> None:
    model = build("cnn", (3, 9, 9), 10, channels=(5, 6, 7), kernel=5)
    kernels = [m.weight.shape for m in model.children() if isinstance(m, nn.Conv2d)]
    assert kernels == [(5, 3, 5, 5), (6, 5, 5, 5), (7, 6, 5, 5)]


@pytest.mark.parametrize(
    ("options", "layers"),
    [
        ({}, "conv1 act1 pool1 conv2 act2 pool2 flatten out"),
        ({"pool": False}, "conv1 act1 conv2 act2 flatten out"),
        ({"padding": "none", "kernel": 4}, "conv1 act1 pool1 conv2 act2 flatten out"),
        (
            {"hidden": (7, 5), "channels": (3,)},
            "conv1 act1 pool1 flatten fc1 act2 fc2 act3 out",
        ),
        (
            {"hidden": (7,), "channels": (3,), "dropout": 0.5, "batch_norm": True},
            "conv1 norm1 act1 pool1 flatten drop fc1 norm2 act2 drop1 out",
        ),
        ({"dropout": 0.5}, "conv1 act1 pool1 conv2 act2 pool2 flatten drop out"),
    ],
)
def test_the_layers_of_cnn_have_the_names_that_their_options_give(
    options: dict[str, Any], layers: str
) -> None:
    model = build("cnn", (1, 11, 11), 3, **options)
    assert [name for name, _ in model.named_children()] == layers.split()
    for mode in (False, True):
        assert model.train(mode)(torch.randn(2, 1, 11, 11)).shape == (2, 3)


@pytest.mark.parametrize("padding", ["same", "none"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("pool", [True, False])
def test_the_stride_of_cnn_divides_the_image(padding: str, stride: int, pool: bool) -> None:
    model = build(
        "cnn", (1, 29, 40), 3, channels=(2, 4), kernel=3, padding=padding, stride=stride, pool=pool
    )
    first = torch.nn.functional.conv2d(
        torch.ones(1, 1, 29, 40),
        torch.ones(2, 1, 3, 3),
        stride=stride,
        padding=int(padding == "same"),
    )
    assert model.conv1(torch.ones(1, 1, 29, 40)).shape == first.shape
    assert model(torch.randn(2, 1, 29, 40)).shape == (2, 3)


@pytest.mark.parametrize("kernel", [1, 3, 4, 5, 9])
def test_the_filters_kernel_and_dense_layers_of_lenet_are_as_asked(kernel: int) -> None:
    model = build("lenet", (3, 28, 30), 7, filters=(4, 9), kernel=kernel, widths=(20,), dropout=0.1)
    layers = "conv1 pool1 act1 conv2 pool2 act2 flatten fc1 act3 drop1 out"
    assert " ".join(name for name, _ in model.named_children()) == layers
    assert [m.weight.shape for m in (model.conv1, model.conv2)] == [
        (4, 3, kernel, kernel), (9, 4, kernel, kernel)
    ]  # fmt: skip
    assert model.out.weight.shape == (7, 20)
    assert model(torch.randn(2, 3, 28, 30)).shape == (2, 7)
    smallest = 3 * kernel + 1
    build("lenet", (1, smallest, smallest), 3, kernel=kernel)(torch.randn(2, 1, smallest, smallest))
    with pytest.raises(ValueError, match=f"needs at least {smallest} × {smallest}"):
        build("lenet", (1, smallest - 1, smallest), 3, kernel=kernel)


def test_by_default_lenet_and_cnn_are_the_published_networks_to_the_last_weight() -> None:
    torch.manual_seed(0)
    lenet = nn.ModuleDict({
        "conv1": nn.Conv2d(1, 6, 5), "conv2": nn.Conv2d(6, 16, 5),
        "fc1": nn.Linear(256, 120), "fc2": nn.Linear(120, 84), "out": nn.Linear(84, 10),
    })  # fmt: skip
    torch.manual_seed(0)
    cnn = nn.ModuleDict({
        "conv1": nn.Conv2d(1, 16, 3, padding=1), "conv2": nn.Conv2d(16, 32, 3, padding=1),
        "out": nn.Linear(32 * 7 * 7, 10),
    })  # fmt: skip
    for name, expected in (("lenet", lenet), ("cnn", cnn)):
        built = build(name, (1, 28, 28), 10).state_dict()
        assert list(built) == list(expected.state_dict())
        for key, weights in expected.state_dict().items():
            assert torch.equal(built[key], weights)
    assert sum(p.numel() for p in lenet.parameters()) == 44_426


@pytest.mark.parametrize(("kernel", "pool"), [(5, False), (3, True), (4, True), (1, False)])
def test_without_padding_a_convolution_takes_its_kernel_off(kernel: int, pool: bool) -> None:
    shape = (1, 20, 26)
    model = build("cnn", shape, 3, channels=(2, 4), kernel=kernel, padding="none", pool=pool)
    height, width = shape[1:]
    for _ in range(2):
        height, width = height - kernel + 1, width - kernel + 1
        if pool:
            height, width = height // 2, width // 2
    assert model.out.in_features == 4 * height * width
    *convolutions, _, _ = model.children()  # without flatten and out
    assert nn.Sequential(*convolutions)(torch.randn(1, *shape)).shape == (1, 4, height, width)


def test_images_that_are_too_small_for_unpadded_kernels_are_refused() -> None:
    with pytest.raises(ValueError, match="conv1 gets 4 × 9 pixels, its kernel is 5 × 5; use padd"):
        build("cnn", (1, 4, 9), 3, channels=(2,), kernel=5, padding="none")
    with pytest.raises(ValueError, match="conv2 gets 2 × 3 pixels, its kernel is 5 × 5"):
        build("cnn", (1, 8, 10), 3, kernel=5, padding="none")
    assert build("cnn", (1, 5, 5), 3, channels=(2,), kernel=5, padding="none").out.in_features == 2


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mlp", {"widths": (0,)}, "widths"),
        ("mlp", {"dropout": 1.0}, "dropout 1.0: expected a fraction from 0 to below 1"),
        ("cnn", {"channels": ()}, "channels is empty"),
        ("cnn", {"kernel": 2}, "kernel 2: expected an odd size"),
        ("cnn", {"kernel": 0, "padding": "none"}, "kernel 0: expected a size of at least 1"),
        ("cnn", {"hidden": (8, 0)}, r"hidden \(8, 0\): expected sizes of at least 1"),
        ("cnn", {"stride": 0}, "stride 0: expected at least 1"),
        ("cnn", {"stride": 29}, "conv1 gets 28 × 28 pixels, its stride is 29; take a smaller"),
        (
            "cnn",
            {"stride": 6, "kernel": 5, "padding": "none"},
            "conv2 gets 2 × 2 .* kernel is 5 × 5",
        ),
        ("lenet", {"dropout": -0.1}, "dropout -0.1"),
        ("lenet", {"widths": (0,)}, "widths"),
        ("lenet", {"widths": ()}, "widths is empty: expected a hidden layer at least"),
        ("lenet", {"filters": (0, 3)}, "filters"),
        (
            "lenet",
            {"filters": (3,)},
            r"filters \(3,\): expected two sizes; model cnn takes any num",
        ),
        ("lenet", {"kernel": 0}, "kernel 0: expected a size of at least 1"),
        (
            "lenet",
            {"kernel": 10},
            "images are 28 × 28; LeNet with kernels of 10 × 10 needs at least 31",
        ),
    ],
)
def test_an_impossible_option_is_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(name, (1, 28, 28), 10, **options)


def test_options_reach_the_model_through_the_settings() -> None:
    plan = make_plan(Settings.parse({"model": "cnn", "model.channels": "3", "model.kernel": "1"}))
    assert plan.model.options["channels"] == (3,)
    assert plan.model.options["kernel"] == 1


def test_a_missing_plugin_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(MlrunError, match=r"--plugin .*nothing\.py: no such file"):
        make_plan(Settings.parse({"plugin": str(tmp_path / "nothing.py")}))
