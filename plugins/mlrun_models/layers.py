"""Activations and checks of options that the models share."""

from __future__ import annotations

from torch import nn

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "leaky-relu": nn.LeakyReLU,
}


def check_dropout(dropout: float) -> None:
    """Raises ValueError unless `dropout` is a fraction from 0 to below 1."""
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout {dropout}: expected a fraction from 0 to below 1")


def check_sizes(name: str, sizes: tuple[int, ...]) -> None:
    """Raises ValueError unless every size is at least 1."""
    if any(size < 1 for size in sizes):
        raise ValueError(f"{name} {sizes}: expected sizes of at least 1")
