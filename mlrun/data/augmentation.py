"""Random changes of training images, drawn for each image of a batch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from mlrun.data import changes
from mlrun.machine.randomness import generator
from mlrun.settings.changes import check_bounds

ERASED_AREA = (0.02, 0.33)  # of the image; these and the ratio as in the paper's experiments
ERASED_RATIO = (math.log(0.3), math.log(3.3))  # of height to width


class Draws(NamedTuple):
    """What a batch was drawn: float32 (N,) each, on the CPU, one value for each image.

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


@dataclass(frozen=True)
class Augmentation:
    """Random changes of training images.

    Shear, scale, rotation and shift, in this order and in one interpolation; then flip, crop,
    erase and noise.

    Args:
        rotate: degrees; each image by an angle uniform in ±rotate, 0–180.
        translate: fraction of the side, 0–1; along each axis uniform in ±translate.
        scale: the factor is uniform between the two; above 1 enlarges.
        shear: degrees, horizontally, uniform in ±shear, below 90.
        flip: left to right (`horizontal`), top to bottom (`vertical`), or both; each with
            probability 1/2.
        crop: pixels of black on each side, from which a random window of the old size is cut.
        erase: probability, 0–1, that a random rectangle is blackened: 2 % to 33 % of the
            image, height / width 0.3 to 3.3 (Zhong et al. 2017, arXiv:1708.04896).
        noise: standard deviation of Gaussian noise, pixels as 0–1; clipped to 0–1.

    Raises:
        ValueError: a value is out of its bounds.
    """

    rotate: float = 0.0
    translate: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    shear: float = 0.0
    flip: Literal["none", "horizontal", "vertical", "both"] = "none"
    crop: int = 0
    erase: float = 0.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        check_bounds("rotate", self.rotate, most=180)
        check_bounds("translate", self.translate, most=1)
        check_bounds("shear", self.shear, below=90)
        check_bounds("crop", self.crop)
        check_bounds("erase", self.erase, most=1)
        check_bounds("noise", self.noise)
        low, high = self.scale
        if not 0 < low <= high < math.inf:
            raise ValueError(f"scale {low} to {high}: expected two factors above 0, smaller first")
        if self.flip not in ("none", "horizontal", "vertical", "both"):
            raise ValueError(f"flip {self.flip}: expected none, horizontal, vertical or both")

    @cached_property  # asked for at each batch
    def active(self) -> bool:
        """Whether anything is on."""
        return self != Augmentation()

    @cached_property
    def _warps(self) -> bool:
        return bool(self.rotate or self.translate or self.shear or tuple(self.scale) != (1.0, 1.0))

    @cached_property
    def _bounds(self) -> tuple[Tensor, Tensor]:
        """The least and the greatest of each draw, float32, in the order of `Draws`."""
        limits = {
            "angle": (-self.rotate, self.rotate),
            "right": (-self.translate, self.translate),
            "down": (-self.translate, self.translate),
            "scale": self.scale,
            "shear": (-self.shear, self.shear),
            "column": (-self.crop, self.crop + 1),
            "row": (-self.crop, self.crop + 1),
            "area": ERASED_AREA,
            "ratio": ERASED_RATIO,
        }
        bounds = [limits.get(name, (0, 1)) for name in Draws._fields]
        low, high = torch.tensor(bounds, dtype=torch.float32).unbind(1)
        return low, high

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

    def __call__(self, images: Tensor, *, seed: int, fill: Tensor, unit: Tensor) -> Tensor:
        """Returns changed images; what is empty is black. `images` stays as it is.

        Give it a whole batch and cut the result, not the batch: the draws go by place.

        Args:
            images: standardised float32 (N, C, H, W), any device.
            seed: of this batch.
            fill: what black (pixel 0) is after standardisation, (C, 1, 1), on that device.
            unit: what one unit of a pixel as 0–1 is, (C, 1, 1): 1 / std.
        """
        if not self.active:
            return images
        draws = self.draw(len(images), seed=seed)
        if self._warps:
            images = changes.warp(
                images,
                fill,
                angle=draws.angle,
                right=draws.right,
                down=draws.down,
                scale=draws.scale,
                shear=draws.shear,
            )
        if self.crop or self.flip != "none":
            images = changes.cut(
                images,
                fill,
                column=draws.column.long(),
                row=draws.row.long(),
                mirrored=(draws.mirrored < 0.5) & (self.flip in ("horizontal", "both")),
                upturned=(draws.upturned < 0.5) & (self.flip in ("vertical", "both")),
            )
        if self.erase:
            images = changes.erase(
                images,
                fill,
                area=draws.area * (draws.erased < self.erase),
                ratio=draws.ratio.exp(),
                left=draws.left,
                top=draws.top,
            )
        if self.noise:
            images = changes.add_noise(images, self.noise, seed=seed, fill=fill, unit=unit)
        return images
