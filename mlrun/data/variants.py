"""Changed test data: the same images rotated, shifted, blurred or noised.

Importing it does not load torch, since the settings name variants too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from mlrun.data.bounds import check_bounds
from mlrun.data.randomness import derive_seed, generator
from mlrun.errors import unknown
from mlrun.seam.options import convert

if TYPE_CHECKING:
    from torch import Tensor

    from mlrun.data.batches import Batches

EXAMPLES = "changes such as rotate=25 or rotate=25+noise=0.1"


@dataclass(frozen=True)
class Variant:
    """Random changes of the images that a model is evaluated on, in the order of the name.

    Args:
        rotate: degrees, 0–180; each image by an angle uniform in ±rotate, empty corners black.
        shift: pixels; each image along each axis by an amount uniform in ±shift.
        noise: standard deviation of Gaussian noise, pixels as 0–1; clipped to 0–1, as a camera
            would.
        blur: standard deviation of a Gaussian blur, in pixels.

    Raises:
        ValueError: a value is out of its bounds.
    """

    rotate: float = 0.0
    shift: float = 0.0
    noise: float = 0.0
    blur: float = 0.0

    def __post_init__(self) -> None:
        check_bounds("rotate", self.rotate, most=180)
        check_bounds("shift", self.shift)
        check_bounds("noise", self.noise)
        check_bounds("blur", self.blur)

    @classmethod
    def parse(cls, text: str) -> Variant:
        """Returns the variant that a text such as `rotate=25` or `rotate=25+noise=0.1` names.

        Raises:
            ValueError: it is no such text, or changes nothing.
        """
        known = [field.name for field in fields(cls)]
        amounts: dict[str, float] = {}
        for change in text.split("+"):
            name, equals, amount = (part.strip() for part in change.partition("="))
            if not equals or name in amounts:
                raise ValueError(f"expected {EXAMPLES}, got {text!r}")
            if name not in known:
                raise ValueError(str(unknown("change", name, known)))
            try:
                amounts[name] = convert(float, amount)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        variant = cls(**amounts)
        if 0 in amounts.values():
            raise ValueError(f"{text} changes nothing; leave out what is 0")
        return variant

    @property
    def active(self) -> bool:
        """Whether anything is on."""
        return self != Variant()

    @property
    def name(self) -> str:
        """What was done, for the name of the figures: `rotated-25-noised-0.1`, or nothing."""
        done = {
            "rotated": self.rotate,
            "shifted": self.shift,
            "blurred": self.blur,
            "noised": self.noise,
        }
        parts = (f"{word}-{float(by)}".removesuffix(".0") for word, by in done.items() if by)
        return "-".join(parts)

    def called(self, name: str) -> str:
        """Returns the name of the figures of what is called `name`, changed: `test-rotated-25`."""
        return f"{name}-{self.name}" if self.active else name

    def draw(self, count: int, *, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        """Returns degrees clockwise and pixels right and down: float32 (count,), on the CPU."""
        import torch

        limits = torch.tensor([self.rotate, self.shift, self.shift], dtype=torch.float32)
        numbers = torch.rand(count, 3, dtype=torch.float32, generator=generator(seed, "variant"))
        angle, right, down = torch.lerp(-limits, limits, numbers).unbind(1)
        return angle, right, down

    def __call__(self, images: Tensor, *, seed: int, fill: Tensor, unit: Tensor) -> Tensor:
        """Returns changed images; `images` stay as they are, and come back if nothing is on.

        Args:
            images: standardised float32 (N, C, H, W), any device.
            seed: of this batch; the draws go by place in the batch.
            fill, unit: black, and one unit of a pixel as 0–1, (C, 1, 1); see
                `mlrun.data.changes`.
        """
        import torch

        from mlrun.data.changes import add_noise, warp

        if self.rotate or self.shift:
            angle, right, down = self.draw(len(images), seed=seed)
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
        if self.blur:
            images = blur(images - fill, self.blur).add_(fill)
        if self.noise:
            images = add_noise(images, self.noise, seed=seed, fill=fill, unit=unit)
        return images


def changed(batches: Batches, variant: Variant, *, seed: int) -> Batches:
    """Returns batches of the same images, not copied, each changed by draws from `seed`."""
    if not variant.active:
        return batches
    normalisation = batches.normalisation

    def change(images: Tensor, epoch: int, step: int) -> Tensor:
        return variant(
            images,
            seed=derive_seed(seed, "variant", step),
            fill=normalisation.shift,
            unit=normalisation.scale * 255,
        )

    twin = batches.in_order(batches.batch_size)
    twin.change = change
    return twin


def blur(images: Tensor, sigma: float) -> Tensor:
    """Returns images (N, C, H, W) under a Gaussian blur of `sigma` pixels.

    The kernel reaches three sigma, or as far as an image that is mirrored at its edges allows.
    It is torchvision's `gaussian_blur`, whose import takes seconds.
    """
    import torch
    import torch.nn.functional as F

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
