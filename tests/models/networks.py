"""Shapes of images, and files of torchvision's weights, for the tests of its networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torchvision import models

GREY, COLOUR = (1, 28, 28), (3, 32, 32)


def saved(folder: Path, arch: str, **options: Any) -> tuple[nn.Module, Path]:
    """A network of torchvision's own with random weights, and the file of its state dict."""
    torch.manual_seed(1)
    model = models.get_model(arch, weights=None, **options).eval()
    path = folder / f"{arch}.pth"
    torch.save(model.state_dict(), path)
    return model, path
