"""Which images of a part are drawn."""

from __future__ import annotations

import torch


def random_places(length: int, count: int, seed: int) -> list[int]:
    """Returns `count` different places below `length`, in random order; all if there are fewer.

    They depend on the three numbers alone, and so are the same in every run.
    """
    order = torch.randperm(length, generator=torch.Generator().manual_seed(seed))
    return order[:count].tolist()
