"""The model that is served: raw pixels in, logits out."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from mlrun.data.normalisation import Normalisation


class Servable(nn.Module):
    """Maps raw pixels of any number type, (N, C, H, W), 0–255, to logits, float32 (N, K).

    Normalisation is part of it. It holds copies, on the CPU and in evaluation mode.
    """

    def __init__(self, normalisation: Normalisation, model: nn.Module) -> None:
        super().__init__()
        self.normalisation = copy.deepcopy(normalisation).cpu()
        self.model = copy.deepcopy(model).cpu()
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Returns the logits of raw `images`."""
        # not `to`: an exported program checks that what it converts has the example's type
        pixels = images.unsqueeze(-1).sum(-1, dtype=torch.float32)
        logits: Tensor = self.model(self.normalisation(pixels))
        return logits
