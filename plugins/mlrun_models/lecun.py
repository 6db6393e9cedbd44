"""LeNet, after LeCun, Bottou, Bengio and Haffner (1998)."""

from __future__ import annotations

from torch import nn

from mlrun_models.layers import ACTIVATIONS, check_dropout

SMALLEST = 16  # pixels: two convolutions and poolings leave 1 × 1 of it


class LeNet(nn.Sequential):
    """Maps standardised images (N, C, H, W), H and W at least 16, to logits (N, K)."""

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int,
        *,
        activation: str,
        batch_norm: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        check_dropout(dropout)
        channels, height, width = shape
        if min(height, width) < SMALLEST:
            raise ValueError(
                f"images are {height} × {width}; LeNet needs at least {SMALLEST} × {SMALLEST}; "
                "model cnn takes any size"
            )
        act = ACTIVATIONS[activation]
        for number, (inputs, outputs) in enumerate([(channels, 6), (6, 16)], start=1):
            self.add_module(f"conv{number}", nn.Conv2d(inputs, outputs, 5))
            if batch_norm:
                self.add_module(f"norm{number}", nn.BatchNorm2d(outputs))
            self.add_module(f"pool{number}", nn.MaxPool2d(2))
            self.add_module(f"act{number}", act())
            height, width = (height - 4) // 2, (width - 4) // 2
        self.flatten = nn.Flatten()
        size = 16 * height * width
        for number, units in enumerate((120, 84), start=1):
            self.add_module(f"fc{number}", nn.Linear(size, units))
            self.add_module(f"act{number + 2}", act())
            if dropout:
                self.add_module(f"drop{number}", nn.Dropout(dropout))
            size = units
        self.out = nn.Linear(size, classes)
