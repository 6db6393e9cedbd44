"""Small parts of data sets for the tests."""

from __future__ import annotations

import torch

from mlrun import Part
from mlrun.data.splits import Selection


def part(count: int = 100, shape: tuple[int, ...] = (1, 4, 4), classes: int = 3) -> Part:
    generator = torch.Generator().manual_seed(count)
    images = torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=generator)
    return Part(images, torch.arange(count) % classes)


def whole(given: Part) -> Selection:
    return Selection("train", torch.arange(len(given.labels)), *given)
