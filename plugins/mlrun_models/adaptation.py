"""A network that resizes its images first, and of which a part may be frozen."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from mlrun import MlrunError
from mlrun.plugin import is_named, top_layers


class Resize(nn.Module):
    """Resizes images (N, C, H, W) that are too small, bilinearly, whatever size they come in.

    Args:
        side: the least height and width, in pixels; each that is smaller becomes as large.
        exact: make both `side` in any case, smoothed where the image shrinks.
    """

    def __init__(self, side: int, *, exact: bool) -> None:
        super().__init__()
        self.side, self.exact = side, exact

    def forward(self, images: Tensor) -> Tensor:
        """Returns the resized `images`, or themselves where they have the size."""
        size = (images.shape[-2], images.shape[-1])
        height, width = (self.side if self.exact else max(self.side, side) for side in size)
        if (height, width) == size:
            return images
        shrinks = height < size[0] or width < size[1]
        return F.interpolate(images, (height, width), mode="bilinear", antialias=shrinks)

    def extra_repr(self) -> str:
        """Returns the size for a print of the model."""
        return f"{'' if self.exact else 'at least '}{self.side} × {self.side}"


class Adapted(nn.Module):
    """A network with a layer `resize` before all others."""

    resize: nn.Module

    def forward(self, images: Tensor) -> Tensor:
        """Returns the logits, float32 (N, K), of `images`, float32 (N, C, H, W)."""
        logits: Tensor = super().forward(self.resize(images))
        return logits


def adapt(model: nn.Module, resize: nn.Module) -> None:
    """Makes `model` an `Adapted` network, in place, whose images pass through `resize` first.

    That changes its class to a subclass of it and of `Adapted`, whose `forward` then runs first: a
    wrapper would put a prefix before the names of all layers, and hooks are left out of the copies
    that are drawn and served.
    """
    kind = type(model)
    model.__class__ = type(kind.__name__, (Adapted, kind), {"__module__": kind.__module__})
    others = dict(model.named_children())
    for name in others:
        delattr(model, name)
    model.resize = resize  # before the others, since layers are drawn in this order
    for name, module in others.items():
        model.add_module(name, module)


def choose_trained(model: nn.Module, patterns: tuple[str, ...], *, head: str) -> None:
    """Freezes every parameter of `model` that none of `patterns` names.

    Args:
        model: changed in place.
        patterns: `all`, `head`, or names of layers or parameters with wildcards.
        head: the name of the layer that makes the logits.

    Raises:
        MlrunError: a pattern names nothing, or there is none.
    """
    names = [name for name, _ in model.named_parameters()]
    layers = top_layers(model)
    meaning = {"all": "*", "head": head}
    trainable: set[str] = set()
    for pattern in patterns:
        matches = {name for name in names if is_named(name, meaning.get(pattern, pattern))}
        if not matches:
            raise MlrunError(
                f"train {pattern}: no layer has that name; expected all, head, or names with * of "
                f"{layers} and the layers inside them, as model-summary.txt lists them"
            )
        trainable |= matches
    if not trainable:
        raise MlrunError(f"train is empty; expected all, head, or names of {layers}")
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in trainable)
