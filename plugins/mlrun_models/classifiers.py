"""A new, smaller classifier in the place of a network's own."""

from __future__ import annotations

from itertools import takewhile

from torch import nn

from mlrun import MlrunError
from mlrun_models.layers import check_sizes
from mlrun_models.perceptrons import Perceptron


def replace_classifier(
    model: nn.Module, head: str, classes: int, hidden: tuple[int, ...], *, arch: str
) -> tuple[str, set[str]]:
    """Puts a perceptron in the place of all linear layers at the end of `model`.

    That is the top-level part which holds the head: AlexNet's `classifier`, ResNet's `fc`. What
    stands in it before its first linear layer stays (normalisation, flattening), dropout does
    not; the perceptron is then `head` inside the part.

    Args:
        model: changed in place.
        head: the name of the layer that makes the logits.
        classes: how many logits the new classifier makes.
        hidden: units of each of its hidden layers.
        arch: torchvision's name for the network.

    Returns the name of the new classifier, and the names of the weights that are gone.

    Raises:
        MlrunError: the part has no linear layer.
    """
    check_sizes("classifier", hidden)
    part = head.partition(".")[0]
    own = model.get_submodule(part)
    layers = {part: own} if isinstance(own, nn.Linear) else dict(own.named_children())
    linear = next((layer for layer in layers.values() if isinstance(layer, nn.Linear)), None)
    if linear is None:
        raise MlrunError(
            f"classifier: {arch} makes its logits by a convolution, {head}, and has no linear "
            "layers that another classifier could stand in for; use classifier own"
        )
    before = takewhile(lambda item: item[1] is not linear, layers.items())
    body = nn.Sequential()
    for name, layer in before:
        if not isinstance(layer, nn.Dropout):
            body.add_module(name, layer)
    new = Perceptron((linear.in_features, 1, 1), classes, widths=hidden)
    names = set(model.state_dict())
    if len(body):
        body.add_module("head", new)
    model.set_submodule(part, body if len(body) else new)
    return f"{part}.head" if len(body) else part, names - set(model.state_dict())
