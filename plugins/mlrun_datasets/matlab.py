"""SVHN, from MATLAB's files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from scipy.io import loadmat
from torchvision.datasets import SVHN
from torchvision.datasets.utils import download_url

from mlrun import ImageData, MlrunError, Part
from mlrun_datasets.files import AGAIN, fetching, missing_file, reading


def load_svhn(root: Path, *, extra: bool, download: bool) -> ImageData:
    """Returns SVHN as ImageData.

    Raises:
        MlrunError: files are missing or broken.
    """
    folder = root / "SVHN"
    splits = ("train", "test", "extra") if extra else ("train", "test")
    for split in splits:
        url, name, md5 = SVHN.split_list[split]
        if (folder / name).is_file():
            continue
        if not download:
            raise missing_file(name, folder)
        with fetching(folder):
            download_url(url, str(folder), name, md5)
    parts = {split: read_mat(folder / SVHN.split_list[split][1]) for split in splits}
    train = parts["train"]
    if extra:
        more = parts["extra"]
        train = Part(torch.cat([train.images, more.images]), torch.cat([train.labels, more.labels]))
    return ImageData(
        train=train,
        test=parts["test"],
        classes=tuple(str(digit) for digit in range(10)),
        source="The Street View House Numbers dataset, cropped digits (Netzer et al., 2011)",
        licence="for non-commercial use only",
        mean=(0.4377, 0.4438, 0.4728),
        std=(0.1980, 0.2010, 0.1970),
    )


def read_mat(path: Path) -> Part:
    """Returns one file: X, uint8 (32, 32, 3, N), and y, 1 to 10, where 10 is the digit 0.

    Raises:
        MlrunError: it is no such file.
    """
    with reading(path, AGAIN):
        arrays = loadmat(path, variable_names=("X", "y"))
        pixels, labels = arrays["X"], arrays["y"].astype(np.int64).ravel()
    if pixels.dtype != np.uint8 or pixels.shape[:3] != (32, 32, 3) or pixels.ndim != 4:
        raise MlrunError(
            f"cannot read {path}: X is {pixels.dtype} {pixels.shape}, expected uint8 (32, 32, 3, N)"
        )
    images = np.ascontiguousarray(pixels.transpose(3, 2, 0, 1))
    return Part(torch.from_numpy(images), torch.from_numpy(labels % 10))
