"""Precision: in how many bits the forward pass computes."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from mlrun.errors import MlrunError

DTYPES = {"bf16": torch.bfloat16, "16": torch.float16}


@dataclass(frozen=True)
class Precision:
    """How the forward pass computes; weights, gradients and losses are float32 throughout.

    name: `32`, `bf16` or `16`.
    device: the kind of device: `cpu`, `cuda`, …
    """

    name: str
    device: str

    def autocast(self) -> AbstractContextManager[object]:
        """Returns the context that forward passes run in."""
        if self.name == "32":
            return nullcontext()
        return torch.autocast(self.device, DTYPES[self.name])

    def scaler(self, summed: int = 1) -> torch.amp.GradScaler:
        """Returns what keeps gradients of 16 bits from vanishing; it does nothing otherwise.

        Its first factor is torch's 2^16, less where losses are `summed`, of so many examples:
        a gradient that overflows costs a step.
        """
        start = 2.0 ** (16 - (summed - 1).bit_length())
        return torch.amp.GradScaler(self.device, init_scale=start, enabled=self.name == "16")


def choose_precision(name: str, device: torch.device) -> Precision:
    """Returns the precision of that name on `device`.

    `auto` is bf16 on a CUDA GPU that computes in it (compute capability 8.0 or higher), 32
    elsewhere.

    Raises:
        MlrunError: the device cannot compute in it.
    """
    able = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
    if name == "auto":
        name = "bf16" if able else "32"
    if name == "bf16" and device.type == "cuda" and not able:
        raise MlrunError(f"precision bf16: {device} does not compute in it; take 16 or 32")
    if name == "16" and device.type not in ("cuda", "cpu"):
        raise MlrunError(f"precision 16: not on {device.type}; take bf16 or 32")
    return Precision(name, device.type)
