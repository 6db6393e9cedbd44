"""The probe images that attributions explain: the class of each, and its prediction."""

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
class ProbeBatch:
    """Probe images, and the class of each whose logit is explained.

    images: uint8 (N, C, H, W), 0–255, on the CPU.
    inputs: of the model, float32 of that shape, on its device; they require gradients.
    targets: int64 (N,), on that device.
    logits: float32 (N, K), on the CPU.
    captions: of each image: true class, predicted class and its probability.
    of: which class's logit it is, for a title.
    below: the form of the captions, for a title.
    """

    images: Tensor
    inputs: Tensor
    targets: Tensor
    logits: Tensor
    captions: tuple[str, ...]
    of: str
    below: str


def probe_batch(view: View, target: str, images: int, visualiser: str) -> ProbeBatch:
    """Returns the first probe images and their targets.

    Args:
        view: of the model.
        target: `true` for each image's class, or `predicted`, which is taken in any case where
            an image has no class.
        images: how many at most, from 1.
        visualiser: its name, for a note.
    """
    probes, logits = with_logits(view, view.probes[:images], visualiser)
    labels = view.probe_labels[:images]
    guesses = logits.argmax(1)
    true = target == "true" and bool((labels >= 0).all())
    targets = labels if true else guesses
    return ProbeBatch(
        images=probes,
        inputs=view.inputs(probes).requires_grad_(),
        targets=targets.to(view.device),
        logits=logits,
        captions=captions_of(view.classes, labels.tolist(), logits),
        of="true class" if true else "predicted class",
        below=f"{'true ' if (labels >= 0).any() else ''}→ predicted (its probability)",
    )


def with_logits(view: View, images: Tensor, visualiser: str) -> tuple[Tensor, Tensor]:
    """Returns images, uint8 (N, C, H, W), and the model's logits of them, float32 (N, K).

    Where the model fails on images that have not the data set's size, they are brought to it,
    and a note of the view says so.
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
