"""One seed for each source of randomness, all derived from `--seed`."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def derive_seed(seed: int, *names: str | int) -> int:
    """Returns a seed of 63 bits for one purpose: the same for the same arguments, anywhere."""
    text = "/".join(str(part) for part in (seed, *names))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator(seed: int, *names: str | int) -> torch.Generator:
    """Returns a CPU generator with the derived seed."""
    import torch

    return torch.Generator().manual_seed(derive_seed(seed, *names))
