"""Data that a dependency ships."""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits as read_digits

from mlrun import ImageData, Part


def load_digits() -> ImageData:
    """Returns scikit-learn's digits: uint8 (N, 1, 8, 8), every fifth one in the test part."""
    bunch = read_digits()
    grey = torch.from_numpy(bunch.images)  # float64 (1797, 8, 8), 0–16
    images = (grey * 255 / 16).round().to(torch.uint8).unsqueeze(1)
    labels = torch.from_numpy(bunch.target).to(torch.int64)
    tested = torch.arange(len(labels)) % 5 == 0
    return ImageData(
        train=Part(images[~tested], labels[~tested]),
        test=Part(images[tested], labels[tested]),
        classes=tuple(str(digit) for digit in range(10)),
        source="Optical Recognition of Handwritten Digits, UCI (scikit-learn's load_digits)",
        licence="CC BY 4.0",
    )
