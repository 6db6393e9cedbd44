"""Mixup and CutMix: each image mixed with the one before it in the batch."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import torch
from torch import Tensor

from mlrun.machine.randomness import derive_seed
from mlrun.settings.augmentation import MixingSettings


@dataclass(frozen=True)
class MixedBatch:
    """A batch in which each image is mixed with its neighbour.

    images: float32 (N, C, H, W).
    share: the weight of an image's own label, 0–1; the rest belongs to the label of the image
        before it in the batch (`labels.roll(1)`), for the first image the last one.
    """

    images: Tensor
    share: float


class Mixing:
    """Mixup or CutMix of whole batches; with both on, each batch takes one with equal chance.

    As in the papers and in torchvision's `v2.MixUp` and `v2.CutMix`, one share is drawn for a
    batch, and partners are neighbours.

    Args:
        options: the alphas of the Beta(alpha, alpha) distributions of an image's own share, for
            mixup (Zhang et al. 2018, arXiv:1710.09412) and for CutMix (Yun et al. 2019,
            arXiv:1905.04899); 0 is off.

    Attributes:
        active: whether anything is on.
    """

    def __init__(self, options: MixingSettings) -> None:
        self.mixup, self.cutmix = options.mixup, options.cutmix
        self.active = self.mixup > 0 or self.cutmix > 0

    def __call__(self, images: Tensor, *, seed: int) -> MixedBatch:
        """Returns the mixed batch; `images` (N, C, H, W), any device, stay as they are.

        Give it the whole batch and cut the result: partners go by place.
        """
        if not self.active:
            return MixedBatch(images, 1.0)
        source = random.Random(derive_seed(seed, "mixing"))
        chance = source.random()
        cuts = self.cutmix > 0 and (self.mixup == 0 or chance < 0.5)
        alpha = self.cutmix if cuts else self.mixup
        share = source.betavariate(alpha, alpha)
        if not cuts:
            return mix(images, share)
        height, width = images.shape[2:]
        return paste(images, box(share, source.random(), source.random(), height, width))


def mix(images: Tensor, share: float) -> MixedBatch:
    """Returns `share` of each image plus the rest of its partner."""
    return MixedBatch(torch.lerp(images.roll(1, 0), images, share), share)


def box(share: float, x: float, y: float, height: int, width: int) -> tuple[int, int, int, int]:
    """Returns the rectangle that CutMix pastes: left, top, right, bottom, in pixels.

    Its centre is the pixel at (x, y), 0–1 of each side; its sides are those of the image
    times the root of 1 - share, less where it would leave the image.
    """
    half = 0.5 * math.sqrt(1 - share)
    column, row = int(x * width), int(y * height)
    wide, high = int(half * width), int(half * height)
    return (
        max(column - wide, 0),
        max(row - high, 0),
        min(column + wide, width),
        min(row + high, height),
    )


def paste(images: Tensor, where: tuple[int, int, int, int]) -> MixedBatch:
    """Returns images with their partner's pixels inside the rectangle; the share is what is left.

    The share is that of the true area: the rectangle is of whole pixels, and cut at the edges.
    """
    left, top, right, bottom = where
    height, width = images.shape[2:]
    mixed = images.clone()
    mixed[:, :, top:bottom, left:right] = images.roll(1, 0)[:, :, top:bottom, left:right]
    return MixedBatch(mixed, 1 - (right - left) * (bottom - top) / (width * height))
