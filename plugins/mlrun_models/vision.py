"""torchvision's classifiers, fitted to the size, channels and classes of the data."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torchvision import models

from mlrun.plugin import unknown
from mlrun_models.adaptation import Resize, adapt, choose_trained
from mlrun_models.classifiers import replace_classifier
from mlrun_models.pretrained import load_into, read_weights


def build_classifier(
    shape: tuple[int, int, int],
    classes: int,
    *,
    arch: str,
    weights: str | None,
    download: bool,
    classifier: str | tuple[int, ...],
    train: tuple[str, ...],
) -> nn.Module:
    """Returns the network; the options are those of `mlrun_models.torchvision`.

    `classifier` is `own`, or the units of each hidden layer of a new one, perhaps none.

    Raises:
        MlrunError: there is no such architecture, layer or weights, or they do not fit.
    """
    arch = find_architecture(arch)
    state = None if weights is None else read_weights(arch, weights, download=download)
    channels, height, width = shape
    only = only_side(arch, max(height, width), state)
    model = construct(arch, classes, only)
    first, head = first_convolution(model), last_layer(model)
    set_channels(model.get_submodule(first), channels)
    replaced: set[str] = set()
    if isinstance(classifier, tuple):
        head, replaced = replace_classifier(model, head, classes, classifier, arch=arch)
    if state is not None:
        what = f"weights {weights} in {arch}"
        load_into(model, state, first=first, head=head, replaced=replaced, what=what)
    choose_trained(model, train, head=head)
    adapt(model, Resize(only or least_side(arch), exact=only is not None))
    return model.train()


def architectures() -> list[str]:
    """Returns the names of torchvision's classifiers of images."""
    return list(models.list_models(module=models))


def find_architecture(arch: str) -> str:
    """Returns torchvision's spelling of an architecture; raises MlrunError where there is none."""
    name = arch.lower().replace("-", "_")
    if name not in architectures():
        raise unknown("arch", arch, architectures())
    return name


def only_side(arch: str, side: int, state: dict[str, Tensor] | None) -> int | None:
    """Returns the one height and width, in pixels, that `arch` takes; None if it takes many.

    Args:
        arch: torchvision's name.
        side: the larger side of the data set's images.
        state: the weights, if any, which may decide it.
    """
    if arch.startswith("maxvit"):  # its windows must divide the size on every level
        return least_side(arch)
    if not arch.startswith("vit_"):
        return None
    patch = int(arch.rpartition("_")[2])
    patches = -(-side // patch)
    if state is not None and "encoder.pos_embedding" in state:
        patches = math.isqrt(state["encoder.pos_embedding"].shape[1] - 1)
    return patches * patch


def least_side(arch: str) -> int:
    """Returns the least height and width, in pixels, that torchvision states for `arch`."""
    sizes = (min(weights.meta["min_size"]) for weights in models.get_model_weights(arch))
    return min(sizes, default=1)


def construct(arch: str, classes: int, only: int | None) -> nn.Module:
    """Returns torchvision's network for colour images, freshly initialised.

    Args:
        arch: torchvision's name.
        classes: how many logits it makes.
        only: the one height and width of images, where it takes only one.
    """
    options: dict[str, object] = {"num_classes": classes}
    if arch.startswith("vit_"):
        options["image_size"] = only
    if arch in ("googlenet", "inception_v3"):  # auxiliary logits make its output a tuple
        options |= {"aux_logits": False, "init_weights": True}
    model: nn.Module = models.get_model(arch, weights=None, **options)
    return model


def first_convolution(model: nn.Module) -> str:
    """Returns the name of the layer that sees the image."""
    convolutions = (n for n, module in model.named_modules() if isinstance(module, nn.Conv2d))
    return str(next(convolutions))


def last_layer(model: nn.Module) -> str:
    """Returns the name of the head, the layer that makes the logits: linear or a convolution."""
    kinds = (nn.Linear, nn.Conv2d)
    *_, last = (name for name, module in model.named_modules() if isinstance(module, kinds))
    return str(last)


def set_channels(convolution: nn.Module, channels: int) -> None:
    """Gives a fresh convolution another number of input channels, in place.

    The new kernels are drawn from the values of the old ones, which is torchvision's own
    distribution, and scaled so that the layer's outputs keep their size.
    """
    assert isinstance(convolution, nn.Conv2d)
    old = convolution.weight.detach()
    outputs, inputs, *kernel = old.shape
    if channels == inputs:
        return
    indices = torch.randint(old.numel(), (outputs, channels, *kernel))
    convolution.in_channels = channels
    convolution.weight = nn.Parameter(old.flatten()[indices] * math.sqrt(inputs / channels))
