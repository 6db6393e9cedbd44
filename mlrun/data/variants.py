"""Changed test data: the same images rotated, shifted, blurred or noised."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from mlrun.data.batches import Batches
from mlrun.data.shares import Share
from mlrun.data.transforms import add_noise, warp
from mlrun.machine.randomness import derive_seed, generator
from mlrun.settings.changes import Variant

__all__ = ["Variant", "apply", "change_batches", "draw"]


def draw(variant: Variant, count: int, *, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Returns degrees clockwise and pixels right and down: float32 (count,), on the CPU."""
    limits = torch.tensor([variant.rotate, variant.shift, variant.shift], dtype=torch.float32)
    numbers = torch.rand(count, 3, dtype=torch.float32, generator=generator(seed, "variant"))
    angle, right, down = torch.lerp(-limits, limits, numbers).unbind(1)
    return angle, right, down


def apply(variant: Variant, images: Tensor, *, seed: int, fill: Tensor, unit: Tensor) -> Tensor:
    """Returns changed images; `images` stay as they are, and come back if nothing is on.

    Args:
        variant: how they are changed.
        images: standardised float32 (N, C, H, W), any device.
        seed: of this batch; the draws go by place in the batch.
        fill, unit: black, and one unit of a pixel as 0–1, (C, 1, 1); see
            `mlrun.data.transforms`.
    """
    if variant.rotate or variant.shift:
        angle, right, down = draw(variant, len(images), seed=seed)
        height, width = images.shape[2:]
        images = warp(
            images,
            fill,
            angle=angle,
            right=right / width,
            down=down / height,
            scale=torch.ones_like(angle),
            shear=torch.zeros_like(angle),
        )
    if variant.blur:
        images = blur(images - fill, variant.blur).add_(fill)
    if variant.noise:
        images = add_noise(images, variant.noise, seed=seed, fill=fill, unit=unit)
    return images


def change_batches(batches: Batches, variant: Variant, *, seed: int) -> Batches:
    """Returns batches of the same images, not copied, each changed by draws from `seed`."""
    if not variant.active:
        return batches
    normalisation = batches.store.normalisation

    def change(images: Tensor, epoch: int, step: int, share: Share | None) -> Tensor:
        return apply(
            variant,
            images,
            seed=derive_seed(seed, "variant", step),
            fill=normalisation.shift,
            unit=normalisation.scale * 255,
        )

    return batches.changed_by(change)


def blur(images: Tensor, sigma: float) -> Tensor:
    """Returns images (N, C, H, W) under a Gaussian blur of `sigma` pixels.

    The kernel reaches three sigma, or as far as an image that is mirrored at its edges allows.
    It is torchvision's `gaussian_blur`, whose import takes seconds.
    """
    for axis in (3, 2):  # one after the other is the same blur, and a large kernel stays quick
        reach = min(math.ceil(3 * sigma), images.shape[axis] - 1)
        steps = torch.arange(-reach, reach + 1, dtype=torch.float32)
        kernel = torch.softmax(-((steps / sigma) ** 2) / 2, 0).to(images.device)
        across = axis == 3
        padded = F.pad(images, (reach, reach, 0, 0) if across else (0, 0, reach, reach), "reflect")
        windows = kernel.view((1, 1, 1, -1) if across else (1, 1, -1, 1))
        images = F.conv2d(
            padded, windows.expand(images.shape[1], -1, -1, -1), groups=images.shape[1]
        )
    return images
