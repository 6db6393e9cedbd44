"""The two networks that are measured, in plain torch and as settings of mlrun."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Name = Literal["perceptron", "lenet"]
MEAN, STD = 0.1307, 0.3081
SHARED = {
    "dataset": "mnist",
    "batch_size": 64,
    "validation": "test",
    "normalisation": f"{MEAN}/{STD}",
    "visualisers": "none",
    "log_model": False,
}
SETTINGS: dict[Name, dict[str, object]] = {
    "perceptron": {
        "model": "mlp",
        "model.widths": "20",
        "model.activation": "sigmoid",
        "model.batch_norm": True,
        "model.bias": False,
        "optimiser": "sgd",
        "lr": 0.01,
    },
    "lenet": {"model": "lenet", "optimiser": "adam", "lr": 0.001},
}


def settings_of(name: Name, data: Path, **others: object) -> dict[str, object]:
    """Returns the settings of a run of mlrun on MNIST without pictures."""
    return {**SHARED, **SETTINGS[name], "data_dir": str(data), **others}


def network(name: Name) -> nn.Module:
    """Returns the network as one would write it: images (N, 1, 28, 28) to logits (N, 10)."""
    from torch import nn

    if name == "perceptron":
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(784, 20, bias=False),
            nn.BatchNorm1d(20),
            nn.Sigmoid(),
            nn.Linear(20, 10, bias=False),
        )
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5), nn.MaxPool2d(2), nn.ReLU()),
        *(nn.Conv2d(6, 16, 5), nn.MaxPool2d(2), nn.ReLU()),
        nn.Flatten(),
        *(nn.Linear(256, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )


def optimiser(name: Name, model: nn.Module, *, fused: bool | None = None) -> torch.optim.Optimizer:
    """Returns its optimiser; with `fused`, of the kind whose step is one operation."""
    import torch

    if name == "perceptron":
        return torch.optim.SGD(model.parameters(), lr=0.01, fused=fused)
    return torch.optim.Adam(model.parameters(), lr=0.001, fused=fused)


def standardised(data: Path, *, train: bool = True) -> tuple[Tensor, Tensor]:
    """Returns MNIST as one float32 tensor (N, 1, 28, 28), standardised, and labels int64 (N,)."""
    from torchvision.datasets import MNIST

    images = MNIST(str(data), train=train)
    return (images.data[:, None].float() / 255 - MEAN) / STD, images.targets.long()
