"""Random changes of training images, drawn for each image of a batch."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from mlrun.data import transforms
from mlrun.data.shares import Share
from mlrun.machine.randomness import generator
from mlrun.settings.augmentation import AugmentationSettings

ERASED_AREA = (0.02, 0.33)  # of the image; these and the ratio as in the paper's experiments
ERASED_RATIO = (math.log(0.3), math.log(3.3))  # of height to width


class Draws(NamedTuple):
    """The random amounts for a batch: float32 (N,) each, on the CPU, one for each image.

    angle: degrees, clockwise.
    right, down: how far it moves, as a fraction of the width and of the height.
    scale: the factor of its size.
    shear: degrees by which its verticals lean to the right.
    mirrored, upturned: below 1/2 where it is flipped left to right, top to bottom.
    column, row: whole pixels from its own corner to the cut's.
    erased: 0–1; a rectangle goes where this is below the probability.
    area, ratio: of that rectangle: its fraction of the image, the log of its height / width.
    left, top: 0–1, where that rectangle lies between touching one side and the other.
    """

    angle: Tensor
    right: Tensor
    down: Tensor
    scale: Tensor
    shear: Tensor
    mirrored: Tensor
    upturned: Tensor
    column: Tensor
    row: Tensor
    erased: Tensor
    area: Tensor
    ratio: Tensor
    left: Tensor
    top: Tensor


class Augmentation:
    """Random changes of training images.

    Shear, scale, rotation and shift, in this order and in one interpolation; then flip, crop,
    erase (Zhong et al. 2017, arXiv:1708.04896) and noise. The amounts are drawn for each image.

    Args:
        options: how much of each, as the settings of a run have it.

    Attributes:
        active: whether anything is on.
    """

    def __init__(self, options: AugmentationSettings) -> None:
        self.options = options
        self.active = any(
            getattr(options, name) != field.default
            for name, field in AugmentationSettings.model_fields.items()
        )
        self._warps = bool(
            options.rotate or options.translate or options.shear or options.scale != (1.0, 1.0)
        )
        self._bounds = bounds_of(options)

    def draw(self, count: int, *, seed: int) -> Draws:
        """Returns the draws for a batch of `count` images, the same for the same seed.

        Each option has columns of its own in one table of random numbers, so its draws do not
        depend on what else is on; and rows for the images, so a longer batch begins alike.
        """
        low, high = self._bounds
        source = generator(seed, "augmentation")
        numbers = torch.rand(count, len(low), dtype=torch.float32, generator=source)
        draws = Draws(*torch.lerp(low, high, numbers).unbind(1))
        return draws._replace(column=draws.column.floor(), row=draws.row.floor())

    def __call__(
        self, images: Tensor, *, seed: int, fill: Tensor, unit: Tensor, share: Share | None = None
    ) -> Tensor:
        """Returns changed images; what is empty is black. `images` stays as it is.

        Give it a whole batch, or say which `share` of one it is: the draws go by place.

        Args:
            images: standardised float32 (N, C, H, W), any device.
            seed: of this batch.
            fill: what black (pixel 0) is after standardisation, (C, 1, 1), on that device.
            unit: what one unit of a pixel as 0–1 is, (C, 1, 1): 1 / std.
            share: which images of a batch those are; None for all of one.
        """
        if not self.active:
            return images
        options = self.options
        draws = self.draw(len(images) if share is None else share.whole, seed=seed)
        if share is not None:
            draws = Draws(*(amounts[share.places] for amounts in draws))
        if self._warps:
            images = transforms.warp(
                images,
                fill,
                angle=draws.angle,
                right=draws.right,
                down=draws.down,
                scale=draws.scale,
                shear=draws.shear,
            )
        if options.crop or options.flip != "none":
            images = transforms.cut(
                images,
                fill,
                column=draws.column.long(),
                row=draws.row.long(),
                mirrored=(draws.mirrored < 0.5) & (options.flip in ("horizontal", "both")),
                upturned=(draws.upturned < 0.5) & (options.flip in ("vertical", "both")),
            )
        if options.erase:
            images = transforms.erase(
                images,
                fill,
                area=draws.area * (draws.erased < options.erase),
                ratio=draws.ratio.exp(),
                left=draws.left,
                top=draws.top,
            )
        if options.noise:
            images = transforms.add_noise(
                images, options.noise, seed=seed, fill=fill, unit=unit, share=share
            )
        return images


def bounds_of(options: AugmentationSettings) -> tuple[Tensor, Tensor]:
    """Returns the least and the greatest of each draw, float32, in the order of `Draws`."""
    limits = {
        "angle": (-options.rotate, options.rotate),
        "right": (-options.translate, options.translate),
        "down": (-options.translate, options.translate),
        "scale": options.scale,
        "shear": (-options.shear, options.shear),
        "column": (-options.crop, options.crop + 1),
        "row": (-options.crop, options.crop + 1),
        "area": ERASED_AREA,
        "ratio": ERASED_RATIO,
    }
    bounds = [limits.get(name, (0, 1)) for name in Draws._fields]
    low, high = torch.tensor(bounds, dtype=torch.float32).unbind(1)
    return low, high
