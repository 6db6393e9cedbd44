"""The first-party models. Torch is imported when one is built, so that listing stays quick."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from mlrun import hookimpl

if TYPE_CHECKING:
    from torch import nn

Shape = tuple[int, int, int]
Activation = Literal["relu", "gelu", "tanh", "sigmoid", "leaky-relu"]
Loss = Literal["cross-entropy", "sigmoid-distance", "softmax-nll"]


def logistic(
    shape: Shape, classes: int, *, bias: bool = True, loss: Loss = "cross-entropy"
) -> nn.Module:
    """Logistic regression: one linear layer from the pixels to the logits.

    Args:
        bias: add a bias to each logit.
        loss: what is lowered while training; docs/models.md tells what each of them is.
    """
    from mlrun_models.losses import with_loss
    from mlrun_models.perceptrons import Perceptron

    return with_loss(Perceptron(shape, classes, widths=(), bias=bias), loss)


def mlp(
    shape: Shape,
    classes: int,
    *,
    widths: tuple[int, ...] = (128,),
    activation: Activation = "relu",
    batch_norm: bool = False,
    dropout: float = 0.0,
    bias: bool = True,
    loss: Loss = "cross-entropy",
) -> nn.Module:
    """A multilayer perceptron: linear layers with an activation between them.

    Args:
        widths: units of each hidden layer; none gives logistic regression.
        activation: what follows each hidden layer.
        batch_norm: batch normalisation before each activation.
        dropout: the fraction of hidden units dropped while training, 0 to below 1.
        bias: biases in the linear layers.
        loss: what is lowered while training; docs/models.md tells what each of them is.
    """
    from mlrun_models.losses import with_loss
    from mlrun_models.perceptrons import Perceptron

    model = Perceptron(
        shape,
        classes,
        widths=widths,
        activation=activation,
        batch_norm=batch_norm,
        dropout=dropout,
        bias=bias,
    )
    return with_loss(model, loss)


def cnn(
    shape: Shape,
    classes: int,
    *,
    channels: tuple[int, ...] = (16, 32),
    kernel: int = 3,
    stride: int = 1,
    padding: Literal["same", "none"] = "same",
    pool: bool = True,
    hidden: tuple[int, ...] = (),
    activation: Activation = "relu",
    batch_norm: bool = False,
    dropout: float = 0.0,
    loss: Loss = "cross-entropy",
) -> nn.Module:
    """A small convolutional network for images of any shape.

    For each entry of `channels`: convolution, activation, max-pool by 2. Then one linear layer,
    after hidden ones where `hidden` asks for them. With padding same images may be of any size;
    with none each convolution makes them smaller by `kernel` - 1, and they must be large enough.
    A stride of 2 halves them.

    Args:
        channels: output channels of each convolution, at least one.
        kernel: height and width of the kernels; odd with padding same.
        stride: how many pixels the kernels move at a time.
        padding: same if the convolutions keep the image's size, none for no padding.
        pool: max-pool by 2 after each activation, while the image is at least 2 × 2.
        hidden: units of each hidden linear layer before the last.
        activation: what follows each convolution and hidden linear layer.
        batch_norm: batch normalisation before each activation.
        dropout: the fraction dropped before each linear layer while training, 0 to below 1.
        loss: what is lowered while training; docs/models.md tells what each of them is.
    """
    from mlrun_models.convolutional import ConvolutionalNetwork, Convolutions
    from mlrun_models.losses import with_loss

    model = ConvolutionalNetwork(
        shape,
        classes,
        Convolutions(channels, kernel, stride, padded=padding == "same", pooled=pool),
        hidden=hidden,
        activation=activation,
        batch_norm=batch_norm,
        dropout=dropout,
    )
    return with_loss(model, loss)


def lenet(
    shape: Shape,
    classes: int,
    *,
    filters: tuple[int, ...] = (6, 16),
    kernel: int = 5,
    widths: tuple[int, ...] = (120, 84),
    activation: Activation = "relu",
    batch_norm: bool = False,
    dropout: float = 0.0,
    loss: Loss = "cross-entropy",
) -> nn.Module:
    """LeNet: two 5 × 5 convolutions with pooling, then three linear layers.

    After LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document
    recognition", Proceedings of the IEEE 86 (1998). It deviates as teaching versions do:
    max-pooling for the trained subsampling, ReLU for tanh, all maps connected, a linear last
    layer for the radial basis functions, and no padding of 28 × 28 images. Images must be at
    least 16 × 16, or 3 × `kernel` + 1.

    Args:
        filters: output channels of the two convolutions.
        kernel: height and width of their kernels.
        widths: units of each hidden linear layer, at least one.
        activation: what follows each convolution and hidden linear layer.
        batch_norm: batch normalisation after each convolution.
        dropout: the fraction dropped after each hidden linear layer while training.
        loss: what is lowered while training; docs/models.md tells what each of them is.
    """
    from mlrun_models.lecun import LeNet
    from mlrun_models.losses import with_loss

    model = LeNet(
        shape,
        classes,
        filters=filters,
        kernel=kernel,
        widths=widths,
        activation=activation,
        batch_norm=batch_norm,
        dropout=dropout,
    )
    return with_loss(model, loss)


def torchvision(
    shape: Shape,
    classes: int,
    *,
    arch: str = "resnet18",
    weights: str | None = None,
    download: bool = False,
    classifier: Literal["own", "linear"] | tuple[int, ...] = "own",
    train: tuple[str, ...] = ("all",),
) -> nn.Module:
    """Any image classifier of torchvision, fitted to the data.

    The layers keep torchvision's names. Without weights all are freshly initialised, as
    torchvision does it, with as many outputs as there are classes.

    Size: an image that is smaller than torchvision's smallest for the architecture (1 × 1 for
    resnet18, 32 × 32 for vgg11, 63 × 63 for alexnet, 224 × 224 for swin_t) is enlarged to it
    inside the network, each side by itself; larger ones stay as they are, also those that are
    larger than the data set's own. Vision transformers take one size, to which all images are
    resized (bilinearly): `maxvit_t` 224 × 224; `vit_…` that of its weights, or without weights
    the least square of whole patches that covers the data set's images.

    Channels: where the weights are for another number of them (3 for torchvision's own), the
    kernels of the first convolution are summed for grey images, and else taken in turn, times
    3 / C.

    Classes: the last layer, the head, is kept where weights have one for as many classes as the
    data; else it is new. With a `classifier` other than own, all linear layers at the end
    (AlexNet's and VGG's `classifier`, ResNet's `fc`, ViT's `heads`) make room for a new, smaller
    head: linear layers `fc1`, … with ReLU, and `out`.

    torchvision's weights expect pixels standardised as they were trained:
    `--normalisation 0.485,0.456,0.406/0.229,0.224,0.225`, for googlenet and inception_v3
    `0.5,0.5,0.5/0.5,0.5,0.5`. googlenet and inception_v3 have no auxiliary heads here.

    Args:
        arch: the architecture, by torchvision's name: resnet18, mobilenet_v3_small, vit_b_16, ….
        weights: torchvision's name of trained weights (DEFAULT, IMAGENET1K_V1, …), or a file
            that holds a state dict (.pth, .pt), such as a checkpoint of a run.
        download: fetch named weights that torch's cache does not hold; their checksum is verified.
        classifier: own, as torchvision has it; or what takes its place: linear, a single layer,
            or the units of each hidden layer.
        train: what is trained: all, head (the last layer, or the new classifier), or names of
            layers with wildcards (layer4,head or features.1*); the rest is frozen, its batch
            normalisation too.
    """
    from mlrun_models.vision import build_classifier

    return build_classifier(
        shape,
        classes,
        arch=arch,
        weights=weights,
        download=download,
        classifier=() if classifier == "linear" else classifier,
        train=train,
    )


@hookimpl
def register_models(register: Callable[..., Any]) -> None:
    """Registers the first-party models."""
    register(logistic)
    register(mlp)
    register(cnn)
    register(lenet)
    register(torchvision)
