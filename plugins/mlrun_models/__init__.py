"""The first-party models. Torch is imported when one is built, so that listing stays quick."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from mlrun import hookimpl

if TYPE_CHECKING:
    from torch import nn

Shape = tuple[int, int, int]
Activation = Literal["relu", "gelu", "tanh", "sigmoid", "leaky-relu"]


def logistic(shape: Shape, classes: int, *, bias: bool = True) -> nn.Module:
    """Logistic regression: one linear layer from the pixels to the logits.

    Args:
        bias: add a bias to each logit.
    """
    from mlrun_models.perceptrons import Perceptron

    return Perceptron(shape, classes, widths=(), bias=bias)


def mlp(
    shape: Shape,
    classes: int,
    *,
    widths: tuple[int, ...] = (128,),
    activation: Activation = "relu",
    batch_norm: bool = False,
    dropout: float = 0.0,
    bias: bool = True,
) -> nn.Module:
    """A multilayer perceptron: linear layers with an activation between them.

    Args:
        widths: units of each hidden layer; none gives logistic regression.
        activation: what follows each hidden layer.
        batch_norm: batch normalisation before each activation.
        dropout: the fraction of hidden units dropped while training, 0 to below 1.
        bias: biases in the linear layers.
    """
    from mlrun_models.perceptrons import Perceptron

    return Perceptron(
        shape,
        classes,
        widths=widths,
        activation=activation,
        batch_norm=batch_norm,
        dropout=dropout,
        bias=bias,
    )


def cnn(
    shape: Shape,
    classes: int,
    *,
    channels: tuple[int, ...] = (16, 32),
    kernel: int = 3,
    activation: Activation = "relu",
    batch_norm: bool = False,
    dropout: float = 0.0,
) -> nn.Module:
    """A small convolutional network for images of any shape.

    For each entry of `channels`: convolution that keeps the size, activation, max-pool by 2
    while the image is at least 2 × 2. Then one linear layer.

    Args:
        channels: output channels of each convolution, at least one.
        kernel: height and width of the kernels, odd.
        activation: what follows each convolution.
        batch_norm: batch normalisation before each activation.
        dropout: the fraction dropped before the linear layer while training, 0 to below 1.
    """
    from mlrun_models.convolutional import ConvolutionalNetwork

    return ConvolutionalNetwork(
        shape,
        classes,
        channels=channels,
        kernel=kernel,
        activation=activation,
        batch_norm=batch_norm,
        dropout=dropout,
    )


def lenet(
    shape: Shape,
    classes: int,
    *,
    activation: Activation = "relu",
    batch_norm: bool = False,
    dropout: float = 0.0,
) -> nn.Module:
    """LeNet: two 5 × 5 convolutions with pooling, then three linear layers.

    After LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document
    recognition", Proceedings of the IEEE 86 (1998). It deviates as teaching versions do:
    max-pooling for the trained subsampling, ReLU for tanh, all maps connected, a linear last
    layer for the radial basis functions, and no padding of 28 × 28 images. Images must be at
    least 16 × 16.

    Args:
        activation: what follows each convolution and hidden linear layer.
        batch_norm: batch normalisation after each convolution.
        dropout: the fraction dropped after each hidden linear layer while training.
    """
    from mlrun_models.lecun import LeNet

    return LeNet(shape, classes, activation=activation, batch_norm=batch_norm, dropout=dropout)


@hookimpl
def register_models(register: Callable[..., Any]) -> None:
    """Registers the first-party models."""
    register(logistic)
    register(mlp)
    register(cnn)
    register(lenet)
