"""A small convolutional network for images of any shape."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from mlrun_models.layers import ACTIVATIONS, check_dropout, check_sizes


@dataclass(frozen=True)
class Convolutions:
    """The convolutions of the network.

    channels: output channels of each, at least one.
    kernel: height and width of the kernels.
    stride: how many pixels the kernels move at a time, in both directions.
    padded: with zeros around the image, so that at stride 1 it keeps its size; else it loses
        `kernel` - 1.
    pooled: whether each is followed by max-pooling by 2, while the image is at least 2 × 2.

    Raises ValueError where they cannot be made.
    """

    channels: tuple[int, ...]
    kernel: int
    stride: int
    padded: bool
    pooled: bool

    def __post_init__(self) -> None:
        check_sizes("channels", self.channels)
        if not self.channels:
            raise ValueError("channels is empty: expected at least one convolution")
        if self.kernel < 1 or (self.padded and self.kernel % 2 == 0):
            odd = "an odd size" if self.padded else "a size"
            raise ValueError(f"kernel {self.kernel}: expected {odd} of at least 1")

        if self.stride < 1:
            raise ValueError(f"stride {self.stride}: expected at least 1")

    @property
    def padding(self) -> int:
        """How many zeros are added on each side of the image."""
        return self.kernel // 2 if self.padded else 0

    def sizes_after(self, number: int, height: int, width: int) -> tuple[int, int]:
        """Returns height and width of what convolution `number` puts out; raises ValueError."""
        what = f"conv{number} gets {height} × {width} pixels, its"
        if not self.padded and min(height, width) < self.kernel:
            raise ValueError(
                f"{what} kernel is {self.kernel} × {self.kernel}; use padding same, a smaller "
                "kernel or stride, fewer channels or no pool"
            )
        if self.stride > max(1, min(height, width)):
            raise ValueError(
                f"{what} stride is {self.stride}; take a smaller stride, or fewer channels"
            )
        beside = 2 * self.padding - self.kernel
        return (height + beside) // self.stride + 1, (width + beside) // self.stride + 1


class ConvolutionalNetwork(nn.Sequential):
    """Maps standardised images (N, C, H, W) to logits (N, K).

    Its layers are `conv1`, `act1`, `pool1`, …, `flatten`, `out`. Hidden linear layers stand
    before `out`: `fc1`, …, with activations that count on. With dropout, `drop` comes before the
    first linear layer, and `drop1`, … after the hidden ones.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int,
        convolutions: Convolutions,
        *,
        hidden: tuple[int, ...],
        activation: str,
        batch_norm: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        check_sizes("hidden", hidden)
        check_dropout(dropout)
        act = ACTIVATIONS[activation]
        inputs, height, width = shape
        for number, outputs in enumerate(convolutions.channels, start=1):
            height, width = convolutions.sizes_after(number, height, width)
            convolution = nn.Conv2d(
                inputs,
                outputs,
                convolutions.kernel,
                stride=convolutions.stride,
                padding=convolutions.padding,
            )
            self.add_module(f"conv{number}", convolution)
            if batch_norm:
                self.add_module(f"norm{number}", nn.BatchNorm2d(outputs))
            self.add_module(f"act{number}", act())
            inputs = outputs
            if convolutions.pooled and min(height, width) >= 2:
                self.add_module(f"pool{number}", nn.MaxPool2d(2))
                height, width = height // 2, width // 2
        self.flatten = nn.Flatten()
        if dropout:
            self.drop = nn.Dropout(dropout)
        size = inputs * height * width
        for number, units in enumerate(hidden, start=1):
            self.add_module(f"fc{number}", nn.Linear(size, units))
            place = len(convolutions.channels) + number
            if batch_norm:
                self.add_module(f"norm{place}", nn.BatchNorm1d(units))
            self.add_module(f"act{place}", act())
            if dropout:
                self.add_module(f"drop{number}", nn.Dropout(dropout))
            size = units
        self.out = nn.Linear(size, classes)
