"""A small convolutional network for images of any shape."""

from __future__ import annotations

from torch import nn

from mlrun_models.layers import ACTIVATIONS, check_dropout, check_sizes


class ConvolutionalNetwork(nn.Sequential):
    """Maps standardised images (N, C, H, W) to logits (N, K).

    Its layers are `conv1`, `act1`, `pool1`, …, `flatten`, `out`.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int,
        *,
        channels: tuple[int, ...],
        kernel: int,
        activation: str,
        batch_norm: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        check_sizes("channels", channels)
        check_dropout(dropout)
        if not channels:
            raise ValueError("channels is empty: expected at least one convolution")
        if kernel < 1 or kernel % 2 == 0:
            raise ValueError(f"kernel {kernel}: expected an odd size of at least 1")
        inputs, height, width = shape
        for number, outputs in enumerate(channels, start=1):
            convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
            self.add_module(f"conv{number}", convolution)
            if batch_norm:
                self.add_module(f"norm{number}", nn.BatchNorm2d(outputs))
            self.add_module(f"act{number}", ACTIVATIONS[activation]())
            if min(height, width) >= 2:
                self.add_module(f"pool{number}", nn.MaxPool2d(2))
                height, width = height // 2, width // 2
            inputs = outputs
        self.flatten = nn.Flatten()
        if dropout:
            self.drop = nn.Dropout(dropout)
        self.out = nn.Linear(inputs * height * width, classes)
