"""Data that a dependency ships."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits as read_digits

from mlrun import ImageData, MlrunError, Part

DIGIT = 8  # pixels, height and width


def load_digits(size: int | None = None) -> ImageData:
    """Returns scikit-learn's digits: uint8 (N, 1, H, W), every fifth one in the test part.

    Args:
        size: H and W, at least 8; None for 8. Enlarged images are interpolated bilinearly
            between pixel centres, constant beyond the outermost ones, and rounded last.

    Raises:
        MlrunError: `size` is smaller.
    """
    if size is not None and size < DIGIT:
        raise MlrunError(
            f"--dataset.size {size}: the digits are {DIGIT} × {DIGIT} and are only enlarged; "
            f"give at least {DIGIT}"
        )
    bunch = read_digits()
    grey = torch.from_numpy(bunch.images).unsqueeze(1)  # float64 (1797, 1, 8, 8), 0–16
    if size is not None:
        grey = F.interpolate(grey, (size, size), mode="bilinear", align_corners=False)
    images = (grey * 255 / 16).round().to(torch.uint8)
    labels = torch.from_numpy(bunch.target).to(torch.int64)
    tested = torch.arange(len(labels)) % 5 == 0
    return ImageData(
        train=Part(images[~tested], labels[~tested]),
        test=Part(images[tested], labels[tested]),
        classes=tuple(str(digit) for digit in range(10)),
        source="Optical Recognition of Handwritten Digits, UCI (scikit-learn's load_digits)",
        licence="CC BY 4.0",
    )
