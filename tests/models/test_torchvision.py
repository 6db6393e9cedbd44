"""Every classifier of torchvision, fitted to the data, and what is trained of it."""

from __future__ import annotations

import re

import pytest
import torch
from architectures import (
    ARCHITECTURES,
    every_architecture,
    on_no_device,
    seeded,
)
from checkouts import ROOT
from mlrun_models import torchvision as build
from torch import Tensor, nn
from torchvision import models

from mlrun import MlrunError
from mlrun.inside.layers import output_shapes

SMALL = "squeezenet1_1"
GREY, COLOUR = (1, 28, 28), (3, 32, 32)


@every_architecture
def test_every_architecture_makes_logits_of_small_grey_images(arch: str) -> None:
    model = on_no_device(arch, GREY, 7)
    images = torch.empty(2, *GREY, device="meta")
    for mode in (True, False):
        logits = model.train(mode)(images)
        assert isinstance(logits, Tensor)
        assert logits.shape == (2, 7)


@pytest.mark.slow
@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize(("shape", "classes"), [(COLOUR, 10), ((1, 8, 8), 3), ((5, 40, 300), 2)])
def test_every_architecture_takes_any_size_and_channels(
    arch: str, shape: tuple[int, int, int], classes: int
) -> None:
    logits = on_no_device(arch, shape, classes)(torch.empty(2, *shape, device="meta"))
    assert logits.shape == (2, classes)


@pytest.mark.parametrize("arch", ["resnet18", SMALL, "mobilenet_v3_small", "shufflenet_v2_x0_5"])
@pytest.mark.parametrize("shape", [GREY, (3, 8, 8)])
def test_small_architectures_learn_on_a_real_device(arch: str, shape: tuple[int, int, int]) -> None:
    model = seeded(shape, 4, arch=arch)
    logits = model(torch.randn(6, *shape))
    assert logits.shape == (6, 4)
    logits.square().sum().backward()
    gradients = [p.grad for p in model.parameters()]
    assert all(g is not None and g.isfinite().all() for g in gradients)


@pytest.mark.parametrize("arch", ["resnet18", "densenet121", "mobilenet_v3_small"])
def test_without_weights_a_colour_network_is_torchvision_s_own(arch: str) -> None:
    model = seeded(COLOUR, 10, arch=arch).eval()
    torch.manual_seed(0)
    own = models.get_model(arch, num_classes=10).eval()
    assert list(model.state_dict()) == list(own.state_dict())
    images = torch.randn(2, *COLOUR)
    torch.testing.assert_close(model(images), own(images), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("arch", "shape", "seen"),
    [
        ("resnet18", (1, 8, 8), (8, 8)),
        ("vgg11", (3, 28, 40), (32, 40)),
        ("alexnet", (3, 200, 8), (200, 63)),
        ("swin_t", (3, 32, 32), (224, 224)),
        ("maxvit_t", (3, 300, 20), (224, 224)),
        ("vit_b_16", (1, 8, 8), (16, 16)),
        ("vit_b_16", (3, 33, 20), (48, 48)),
        ("vit_b_32", (3, 224, 224), (224, 224)),
        ("vit_h_14", (1, 28, 28), (28, 28)),
    ],
)
def test_images_are_resized_where_the_architecture_needs_it(
    arch: str, shape: tuple[int, int, int], seen: tuple[int, int]
) -> None:
    with torch.device("meta"):
        model = build(shape, 2, arch=arch)
        images = torch.empty(2, *shape)
        resized = model.resize(images)
    assert resized.shape == (2, shape[0], *seen)
    assert (resized is images) == (shape[1:] == seen)


def test_layers_are_named_in_the_order_in_which_an_image_passes_them() -> None:
    with torch.device("meta"):
        model = build((3, 63, 63), 2, arch="alexnet", classifier=(4,))
        shapes = output_shapes(model.eval(), torch.empty(2, 3, 63, 63))
    layers = [n for n, module in model.named_modules() if not any(module.children())]
    assert layers == [name for name in shapes if name in layers]
    assert (layers[0], layers[-1]) == ("resize", "classifier.out")


def test_resizing_is_bilinear_and_smooth_where_it_shrinks() -> None:
    with torch.device("meta"):
        larger, smaller = (build((1, s, s), 2, arch="maxvit_t").resize for s in (112, 896))
    ramp = torch.arange(112.0).expand(1, 1, 112, 112)
    enlarged = larger(ramp)[0, 0, 0]
    torch.testing.assert_close(enlarged[1:-1].diff(), torch.full((221,), 0.5))
    stripes = (torch.arange(896) % 4 == 0).float().expand(1, 1, 896, 896)
    shrunk = smaller(stripes)[..., 1:-1, 1:-1]
    torch.testing.assert_close(shrunk, torch.full_like(shrunk, 0.25), rtol=0, atol=0.02)


@pytest.mark.parametrize(
    ("size", "seen"), [((70, 90), (70, 90)), ((9, 90), (17, 90)), ((9, 12), (17, 17))]
)
def test_only_what_is_too_small_is_enlarged_at_whatever_size_images_come(
    size: tuple[int, int], seen: tuple[int, int]
) -> None:
    model = seeded((3, 8, 8), 4, arch=SMALL).eval()
    torch.manual_seed(0)
    own = models.get_model(SMALL, num_classes=4).eval()
    images = torch.randn(2, 3, *size)
    enlarged = images if size == seen else nn.functional.interpolate(images, seen, mode="bilinear")
    torch.testing.assert_close(model(images), own(enlarged), rtol=0, atol=0)


@pytest.mark.parametrize(("arch", "side"), [("vit_b_32", 32), ("maxvit_t", 224)])
def test_what_takes_one_size_gets_it_at_whatever_size_images_come(arch: str, side: int) -> None:
    with torch.device("meta"):
        model = build((3, 30, 20), 2, arch=arch).eval()
        for size in ((30, 20), (side, side), (300, 260)):
            images = torch.empty(1, 3, *size)
            assert model.resize(images).shape == (1, 3, side, side)
            assert model(images).shape == (1, 2)


@pytest.mark.parametrize("size", [(8, 8), (40, 30)])
def test_a_network_that_resizes_is_exported_for_batches_of_any_size(size: tuple[int, int]) -> None:
    model = seeded((3, *size), 4, arch=SMALL).eval()
    batches = ({0: torch.export.Dim("batch")},)
    exported = torch.export.export(model, (torch.randn(2, 3, *size),), dynamic_shapes=batches)
    images = torch.randn(5, 3, *size)
    torch.testing.assert_close(exported.module()(images), model(images))


@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize("arch", ["resnet18", SMALL, "densenet121"])
def test_a_fresh_first_layer_has_torchvision_s_distribution(arch: str, channels: int) -> None:
    def kernels(channels: int) -> Tensor:
        model = seeded((channels, 64, 64), 2, arch=arch)
        return next(m for m in model.modules() if isinstance(m, nn.Conv2d)).weight.detach()

    new, old = kernels(channels), kernels(3)
    assert new.shape[1] == channels
    scaled = new / (3 / channels) ** 0.5
    torch.testing.assert_close(scaled.std(), old.std(), rtol=0.1, atol=0)
    torch.testing.assert_close(scaled.abs().max(), old.abs().max(), rtol=0.2, atol=0)
    assert not torch.equal(new[:, 0], new[:, -1]) or channels == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("resnet19", "unknown arch resnet19; did you mean resnet1"),
        ("fasterrcnn_resnet50_fpn", "there are: alexnet, convnext_base, .*, wide_resnet50_2"),
    ],
)
def test_an_unknown_architecture_is_refused_with_the_list(given: str, message: str) -> None:
    with pytest.raises(MlrunError, match=message):
        build(GREY, 10, arch=given)


def test_an_architecture_may_be_written_as_options_are() -> None:
    with torch.device("meta"):
        assert isinstance(build(GREY, 10, arch="ViT-B-16"), models.VisionTransformer)


def test_the_architectures_and_weights_that_the_page_names_exist() -> None:
    page = (ROOT / "docs" / "models.md").read_text()
    named = re.findall(r"--model\.arch (\S+)", page)
    assert named
    assert set(named) <= set(ARCHITECTURES)
    assert {"DEFAULT", "IMAGENET1K_V1"} <= set(models.ResNet18_Weights.__members__)
