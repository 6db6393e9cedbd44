"""A plugin: random images, in memory or in a file that is mapped into it.

Given to mlrun as `--plugin …/random_images.py`; the file, if one is named, is made beforehand by
`write`, so that a process with little memory only reads it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import mlrun

CHUNK = 20_000  # images that are drawn at once
CLASSES = tuple("0123456789")


def random_images(
    root: Path, *, count: int = 1000, channels: int = 1, side: int = 28, file: str = ""
) -> mlrun.ImageData:
    """Random images with labels 0 to 9 in turn, and a thousand more to validate on.

    Args:
        count: how many to train on.
        channels: of an image.
        side: height and width in pixels.
        file: that the images to train on are mapped from; empty to draw them.
    """
    import numpy as np
    import torch

    shape = (count, channels, side, side)
    if file:
        train = torch.from_numpy(np.memmap(file, np.uint8, "r+", shape=shape))
    else:
        train = torch.empty(shape, dtype=torch.uint8)
        fill(train)
    val = torch.empty((1000, *shape[1:]), dtype=torch.uint8)
    fill(val)
    parts = (mlrun.Part(images, torch.arange(len(images)) % 10) for images in (train, val))
    return mlrun.ImageData(next(parts), CLASSES, validation=next(parts))


def fill(images: object) -> None:
    """Draws uint8 images in place, some at a time."""
    import torch

    assert isinstance(images, torch.Tensor)
    drawn = torch.Generator().manual_seed(0)
    for some in images.split(CHUNK):
        some.random_(0, 256, generator=drawn)


def write(file: Path, count: int, channels: int, side: int) -> None:
    """Writes such images to a file."""
    import torch

    drawn = torch.Generator().manual_seed(0)
    with file.open("wb") as output:
        for start in range(0, count, CHUNK):
            shape = (min(CHUNK, count - start), channels, side, side)
            some = torch.empty(shape, dtype=torch.uint8).random_(0, 256, generator=drawn)
            output.write(some.numpy().tobytes())


@mlrun.hookimpl
def register_datasets(register: Callable[..., object]) -> None:
    """Registers the data set."""
    register(random_images)
