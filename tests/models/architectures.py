"""torchvision's architectures, seeded or on no device, for the tests."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mlrun_models import torchvision as build
from torch import nn
from torchvision import models

ARCHITECTURES = models.list_models(module=models)
ONE_OF_EACH_FAMILY = (
    "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "efficientnet_v2_s", "googlenet",
    "inception_v3", "maxvit_t", "mnasnet0_5", "mobilenet_v2", "mobilenet_v3_small",
    "regnet_x_400mf", "resnet18", "resnext50_32x4d", "shufflenet_v2_x0_5", "squeezenet1_1",
    "swin_t", "swin_v2_t", "vgg11_bn", "vit_b_16", "wide_resnet50_2",
)  # fmt: skip


def seeded(*args: Any, **options: Any) -> nn.Module:
    torch.manual_seed(0)
    return build(*args, **options)


def on_no_device(arch: str, shape: tuple[int, int, int], classes: int, **options: Any) -> nn.Module:
    """The network without values, so that the largest are quick too."""
    if arch.startswith("regnet"):  # torchvision computes their widths with tensors
        return build(shape, classes, arch=arch, **options).to("meta")
    with torch.device("meta"):
        return build(shape, classes, arch=arch, **options)


every_architecture = pytest.mark.parametrize(
    "arch",
    [
        arch if arch in ONE_OF_EACH_FAMILY else pytest.param(arch, marks=pytest.mark.slow)
        for arch in ARCHITECTURES
    ],
)
