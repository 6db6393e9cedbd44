"""Logistic regression and multilayer perceptrons."""

from __future__ import annotations

import math

from torch import nn

from mlrun_models.layers import ACTIVATIONS, check_dropout, check_sizes


class Perceptron(nn.Sequential):
    """Maps standardised images (N, C, H, W) to logits (N, K).

    Its layers are `flatten`, `fc1`, `act1`, …, `out`.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int,
        *,
        widths: tuple[int, ...],
        activation: str = "relu",
        batch_norm: bool = False,
        dropout: float = 0.0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        check_sizes("widths", widths)
        check_dropout(dropout)
        self.flatten = nn.Flatten()
        size = math.prod(shape)
        for number, width in enumerate(widths, start=1):
            self.add_module(f"fc{number}", nn.Linear(size, width, bias=bias))
            if batch_norm:
                self.add_module(f"norm{number}", nn.BatchNorm1d(width))
            self.add_module(f"act{number}", ACTIVATIONS[activation]())
            if dropout:
                self.add_module(f"drop{number}", nn.Dropout(dropout))
            size = width
        self.out = nn.Linear(size, classes, bias=bias)
