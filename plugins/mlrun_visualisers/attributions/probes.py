"""Which class's logit is looked into for each image, and what the network says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from mlrun import View
from mlrun_visualisers.canvas.captions import shape_text

SHORT_NAMES = 24  # characters: a longer pair of classes takes two lines


@dataclass(frozen=True)
class Asked:
    """Images, and the class of each whose logit is looked into.

    images: uint8 (N, C, H, W), 0–255, on the CPU.
    inputs: as the model wants them, float32 of that shape, on its device; requires gradients.
    targets: int64 (N,), on that device.
    logits: float32 (N, K), on the CPU.
    captions: of each image: its class, the one that it is taken for and the probability of that.
    of: whose logit it is, for a title.
    below: what the captions say, for a title.
    """

    images: Tensor
    inputs: Tensor
    targets: Tensor
    logits: Tensor
    captions: tuple[str, ...]
    of: str
    below: str


def ask(view: View, target: str, images: int, visualiser: str) -> Asked:
    """Returns the first probe images and their targets.

    Args:
        view: of the model.
        target: `true` for each image's class, `predicted` for the one it is taken for, which
            an image without a class has in any case.
        images: how many at most, from 1.
        visualiser: its name, for what the user is told.
    """
    chosen, logits = answered(view, view.probes[:images], visualiser)
    labels = view.probe_labels[:images]
    guesses = logits.argmax(1)
    known = target == "true" and bool((labels >= 0).all())
    targets = labels if known else guesses
    return Asked(
        images=chosen,
        inputs=view.inputs(chosen).requires_grad_(),
        targets=targets.to(view.device),
        logits=logits,
        captions=captions_of(view.classes, labels.tolist(), logits),
        of="true class" if known else "predicted class",
        below=f"{'true ' if (labels >= 0).any() else ''}→ predicted (its probability)",
    )


def answered(view: View, images: Tensor, visualiser: str) -> tuple[Tensor, Tensor]:
    """Returns images, uint8 (N, C, H, W), and the model's logits of them, float32 (N, K).

    Where the model fails on images that have not the data set's size, they are brought to it,
    and the user is told.
    """
    try:
        return images, logits_of(view, images)
    except Exception:
        if tuple(images.shape[1:]) == tuple(view.shape):
            raise
    size = view.shape[1:]
    view.note(
        f"{visualiser} shows {view.probe_name or 'images'} as {shape_text(size)} pixels, the size "
        "that the model takes"
    )
    fitted = torch.stack([fit(image, size) for image in images])
    return fitted, logits_of(view, fitted)


def logits_of(view: View, images: Tensor) -> Tensor:
    """Returns the model's logits of raw images, float32 (N, K), on the CPU."""
    with torch.no_grad():
        logits: Tensor = view.model(view.inputs(images))
    return logits.float().cpu()


def fit(image: Tensor, size: Sequence[int]) -> Tensor:
    """Returns an image, uint8 (C, H, W), scaled until it covers `size`, and its centre cut out."""
    height, width = size
    channels = [
        np.asarray(ImageOps.fit(Image.fromarray(one), (width, height), Image.Resampling.BILINEAR))
        for one in image.numpy()
    ]
    return torch.from_numpy(np.stack(channels))


def captions_of(classes: Sequence[str], labels: Sequence[int], logits: Tensor) -> tuple[str, ...]:
    """Returns for each image `true → predicted (its probability)`.

    Args:
        classes: their names.
        labels: the true class of each image; -1 where there is none.
        logits: float32 (N, K).
    """
    chances, guesses = logits.softmax(1).max(1)
    break_ = "\n" if 2 * max(map(len, classes)) > SHORT_NAMES else " "
    return tuple(
        f"{classes[label] + break_ if label >= 0 else ''}→ {classes[guess]} ({chance:.3f})"
        for label, guess, chance in zip(labels, guesses.tolist(), chances.tolist(), strict=True)
    )
