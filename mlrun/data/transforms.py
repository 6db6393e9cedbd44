"""Changes of whole batches on their device, each image by its own amount.

Everything works on images that are standardised already, float32 (N, C, H, W) on any device.
`fill` is what black (pixel 0) has become and `unit` what one unit of a pixel as 0–1 has become
(1 / std), both (C, 1, 1) on the images' device. The amounts are on the CPU, (N,): they are
small, and so are the same for every device. Images that are given are never written to.
"""

from __future__ import annotations

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from mlrun.data.shares import Share
from mlrun.machine.randomness import derive_seed

RADIAN = math.pi / 180  # one degree


def warp(
    images: Tensor,
    fill: Tensor,
    *,
    angle: Tensor,
    right: Tensor,
    down: Tensor,
    scale: Tensor,
    shear: Tensor,
) -> Tensor:
    """Returns images sheared, scaled, rotated about their centre, then moved; `fill` comes in.

    All of it is one bilinear sampling.

    Args:
        angle: degrees, clockwise.
        right, down: fractions of the width and of the height.
        scale: factors; above 1 enlarges.
        shear: degrees by which verticals lean to the right.
    """
    height, width = images.shape[2:]
    lean, turn = (shear * RADIAN).tan(), angle * RADIAN
    cos, sin = turn.cos() / scale, turn.sin() / scale
    # the inverse map, in coordinates that run from -1 to 1 along either side
    of_x = cos - sin * lean, sin * (-width / height)
    of_y = (sin + cos * lean) * (height / width), cos
    by_x, by_y = torch.stack([*of_x, *of_y], 1).view(-1, 2, 2, 1, 1).unbind(1)
    x = centres(width) - 2 * right[:, None]
    y = centres(height) - 2 * down[:, None]
    across, along = by_x * x[:, None, None, :], by_y * y[:, None, :, None]
    # affine_grid would multiply matrices, and lose digits under autocast and TF32
    grid = over(across, images) + over(along, images)
    sampled = F.grid_sample(images - fill, grid.permute(0, 2, 3, 1), align_corners=False)
    return sampled.add_(fill)


@cache  # a few sides a process
def centres(side: int) -> Tensor:
    """Returns where the pixels of a side have their centres when it runs from -1 to 1."""
    return torch.arange(1 - side, side, 2, dtype=torch.float32) / side


def cut(
    images: Tensor,
    fill: Tensor,
    *,
    column: Tensor,
    row: Tensor,
    mirrored: Tensor,
    upturned: Tensor,
) -> Tensor:
    """Returns images flipped, then a window of the old size, with `fill` where nothing is.

    Args:
        column, row: int64, from the image's corner to the window's, in pixels.
        mirrored, upturned: bool: flip left to right, top to bottom.
    """
    count, channels, height, width = images.shape
    x, y = torch.arange(width) + column[:, None], torch.arange(height) + row[:, None]
    inside_x, inside_y = (x >= 0) & (x < width), (y >= 0) & (y < height)
    x = torch.where(mirrored[:, None], width - 1 - x, x).clamp_(0, width - 1)
    y = torch.where(upturned[:, None], height - 1 - y, y).clamp_(0, height - 1)
    places = over(y * width, images)[:, :, None] + over(x, images)[:, None, :]
    places = places.view(count, 1, -1).expand(-1, channels, -1)
    window = images.flatten(2).gather(2, places).view(images.shape)
    if not (column.any() or row.any()):
        return window
    return keep(window, fill, rectangle(inside_x, inside_y, images))


def erase(
    images: Tensor, fill: Tensor, *, area: Tensor, ratio: Tensor, left: Tensor, top: Tensor
) -> Tensor:
    """Returns images with a rectangle of `fill` in each, of whole pixels.

    Args:
        area: as a fraction of the image, 0–1; 0 for none.
        ratio: height / width; a rectangle too long for the image keeps its area instead.
        left, top: 0–1, from touching the left or top side to touching the other.
    """
    height, width = images.shape[2:]
    pixels = area * (height * width)
    ratio = ratio.clamp(pixels / width**2, height**2 / pixels)
    high, wide = (pixels * ratio).sqrt().round(), (pixels / ratio).sqrt().round()
    top, left = (top * (height + 1 - high)).floor(), (left * (width + 1 - wide)).floor()
    x, y = torch.arange(width) - left[:, None], torch.arange(height) - top[:, None]
    inside_x, inside_y = (x >= 0) & (x < wide[:, None]), (y >= 0) & (y < high[:, None])
    return keep(images, fill, 1 - rectangle(inside_x, inside_y, images))


def add_noise(
    images: Tensor,
    std: float,
    *,
    seed: int,
    fill: Tensor,
    unit: Tensor,
    share: Share | None = None,
) -> Tensor:
    """Returns images with Gaussian noise, clipped to what pixels can be.

    `std` is for pixels as 0–1. The noise is drawn on the images' device: that of another kind
    of device is another. Of a `share` of a batch it is the noise of the whole one.
    """
    source = torch.Generator(images.device).manual_seed(derive_seed(seed, "noise"))
    count = len(images) if share is None else share.whole
    noise = torch.randn((count, *images.shape[1:]), generator=source, device=images.device)
    if share is not None:
        noise = noise[over(share.places, noise)]
    return torch.addcmul(images, noise, unit * std).clamp_(fill, fill + unit)


def rectangle(inside_x: Tensor, inside_y: Tensor, images: Tensor) -> Tensor:
    """Returns 1 inside and 0 outside, (N, 1, H, W), from bool (N, W) and (N, H)."""
    x, y = over(inside_x.float(), images), over(inside_y.float(), images)
    return x[:, None, None, :] * y[:, None, :, None]


def keep(images: Tensor, fill: Tensor, kept: Tensor) -> Tensor:
    """Returns images where `kept` (N, 1, H, W) is 1, and `fill` where it is 0, both exactly."""
    return torch.lerp(fill, images, kept)


def over(small: Tensor, images: Tensor) -> Tensor:
    """Returns a small tensor on the images' device, without waiting for the device."""
    return small.to(images.device, non_blocking=True)
