"""LeNet, after LeCun, Bottou, Bengio and Haffner (1998)."""

from __future__ import annotations

from torch import nn

from mlrun_models.layers import ACTIVATIONS, check_dropout, check_sizes


class LeNet(nn.Sequential):
    """Maps standardised images (N, C, H, W), H, W at least 3 × `kernel` + 1, to logits (N, K)."""

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int,
        *,
        filters: tuple[int, ...],
        kernel: int,
        widths: tuple[int, ...],
        activation: str,
        batch_norm: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        check_dropout(dropout)
        check_sizes("widths", widths)
        if not widths:
            raise ValueError(
                "widths is empty: expected a hidden layer at least; model cnn has none"
            )
        check_sizes("filters", filters)
        channels, height, width = shape
        check_shape(filters, kernel, height, width)
        act = ACTIVATIONS[activation]
        for number, outputs in enumerate(filters, start=1):
            self.add_module(f"conv{number}", nn.Conv2d(channels, outputs, kernel))
            if batch_norm:
                self.add_module(f"norm{number}", nn.BatchNorm2d(outputs))
            self.add_module(f"pool{number}", nn.MaxPool2d(2))
            self.add_module(f"act{number}", act())
            height, width = (height - kernel + 1) // 2, (width - kernel + 1) // 2
            channels = outputs
        self.flatten = nn.Flatten()
        size = channels * height * width
        for number, units in enumerate(widths, start=1):
            self.add_module(f"fc{number}", nn.Linear(size, units))
            self.add_module(f"act{number + 2}", act())
            if dropout:
                self.add_module(f"drop{number}", nn.Dropout(dropout))
            size = units
        self.out = nn.Linear(size, classes)


def check_shape(filters: tuple[int, ...], kernel: int, height: int, width: int) -> None:
    """Raises ValueError unless two convolutions can be made, and leave something of the image."""
    if len(filters) != 2:
        raise ValueError(f"filters {filters}: expected two sizes; model cnn takes any number")
    if kernel < 1:
        raise ValueError(f"kernel {kernel}: expected a size of at least 1")
    smallest = 3 * kernel + 1  # two convolutions and poolings leave 1 × 1 of it
    if min(height, width) < smallest:
        of = "" if kernel == 5 else f" with kernels of {kernel} × {kernel}"
        raise ValueError(
            f"images are {height} × {width}; LeNet{of} needs at least {smallest} × {smallest}; "
            "model cnn takes any size"
        )
