"""A plugin for the tests of reliability: a model that stops at gates until it is let on.

MLRUN_GATES names a folder. Before the training step N of `STEPS`, the file `N.reached` is written
there, and training goes on when `N.open` is there. A file `N.py` is executed first, in the thread
that trains.
"""

import os
import time
from pathlib import Path

from torch import Tensor, nn

import mlrun

STEPS = (20, 40)


class Held(nn.Module):
    """One convolution and a linear layer, which wait before some steps of the training."""

    def __init__(self, channels: int, pixels: int, classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 4, 3, padding=1)
        self.head = nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(4 * pixels, classes))
        self.steps = 0

    def forward(self, images: Tensor) -> Tensor:
        """Returns logits, float32 (N, K), for images float32 (N, C, H, W)."""
        if self.training:
            self.steps += 1
            if self.steps in STEPS and "MLRUN_GATES" in os.environ:
                wait_at(Path(os.environ["MLRUN_GATES"]), self.steps)
        logits: Tensor = self.head(self.conv(images))
        return logits


def wait_at(gates: Path, step: int) -> None:
    """Tells that a step is reached, and waits until it may be made."""
    code = gates / f"{step}.py"
    if code.exists():
        exec(code.read_text(), {})
    (gates / f"{step}.reached").touch()
    while not (gates / f"{step}.open").exists():
        time.sleep(0.05)


def held(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """One convolution and a linear layer, which wait before some steps of the training."""
    return Held(shape[0], shape[1] * shape[2], classes)


@mlrun.hookimpl
def register_models(register):  # type: ignore[no-untyped-def]  # a hook's argument
    """Registers the model."""
    register(held)
