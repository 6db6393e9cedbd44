"""Data that a dependency ships."""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

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
    table = torch.from_numpy(read_digits())
    grey = table[:, :-1].view(-1, 1, DIGIT, DIGIT)  # float64 (1797, 1, 8, 8), 0–16
    if size is not None:
        grey = F.interpolate(grey, (size, size), mode="bilinear", align_corners=False)
    images = (grey * 255 / 16).round().to(torch.uint8)
    labels = table[:, -1].to(torch.int64)
    in_test = torch.arange(len(labels)) % 5 == 0
    return ImageData(
        train=Part(images[~in_test], labels[~in_test]),
        test=Part(images[in_test], labels[in_test]),
        classes=tuple(str(digit) for digit in range(10)),
        source="Optical Recognition of Handwritten Digits, UCI (scikit-learn's load_digits)",
        licence="CC BY 4.0",
    )


def read_digits() -> np.ndarray:
    """Returns scikit-learn's table of digits, float64 (1797, 65): 64 pixels, 0–16, and the label.

    It is read where the package lies, since to import scikit-learn takes a second; from
    `load_digits` itself where there is no such file.
    """
    file = Path(
        str(distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz"))
    )
    if file.is_file():
        return np.loadtxt(file, delimiter=",")
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return np.column_stack([bunch.data, bunch.target])


def load_photographs(size: int) -> ImageData:
    """Returns tiles of scikit-learn's two photographs, uint8 (N, 3, `size`, `size`).

    A tile of one stands beside a tile of the other, row after row; every fifth pair is in the
    test part. What is left at the right and at the bottom is not used.

    Raises:
        MlrunError: a photograph does not hold two tiles of that size.
    """
    from sklearn.datasets import load_sample_images

    photographs = load_sample_images().images  # uint8 (427, 640, 3), china's and the flower's
    height, width, _ = photographs[0].shape
    if not 0 < size <= min(height, width // 2):
        raise MlrunError(
            f"--dataset.size {size}: of photographs of {height} × {width} pixels at least two "
            f"tiles are cut; give 1 to {min(height, width // 2)}"
        )
    images = torch.stack([tiles(photograph, size) for photograph in photographs], dim=1)
    count = len(images)
    labels = torch.arange(2).repeat(count, 1)
    in_test = torch.arange(count) % 5 == 0
    return ImageData(
        train=Part(images[~in_test].flatten(0, 1), labels[~in_test].flatten()),
        test=Part(images[in_test].flatten(0, 1), labels[in_test].flatten()),
        classes=("china", "flower"),
        source="china.jpg by danielbuechele (flickr.com/photos/danielbuechele/6061409035), "
        "flower.jpg by vultilion (flickr.com/photos/vultilion/6056698931); scikit-learn's "
        "load_sample_images",
        licence="CC BY 2.0",
    )


def tiles(photograph: np.ndarray, size: int) -> Tensor:
    """Returns the squares of `size` pixels in a photograph (H, W, 3), as (T, 3, size, size).

    They touch and do not overlap; row after row, from the top left.
    """
    rows, columns = photograph.shape[0] // size, photograph.shape[1] // size
    whole = torch.tensor(photograph[: rows * size, : columns * size])
    grid = whole.reshape(rows, size, columns, size, 3)
    return grid.permute(0, 2, 4, 1, 3).reshape(rows * columns, 3, size, size)
