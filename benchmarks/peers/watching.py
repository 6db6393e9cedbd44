"""A plugin: a network that writes what it is shown in evaluation mode to the file `seen`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import mlrun

if TYPE_CHECKING:
    from torch import nn


def watching(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """One linear layer."""
    from pathlib import Path

    from torch import Tensor, nn

    class Watching(nn.Module):
        """Appends the images of each call, float32, to the file."""

        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(shape[0] * shape[1] * shape[2], classes)

        def forward(self, images: Tensor) -> Tensor:
            """Returns logits."""
            if not self.training:
                with Path("seen").open("ab") as file:
                    file.write(images.detach().numpy().tobytes())
            logits: Tensor = self.linear(images.flatten(1))
            return logits

    return Watching()


@mlrun.hookimpl
def register_models(register: Callable[..., object]) -> None:
    """Registers the model."""
    register(watching)
