"""MNIST and its kin, through torchvision's reader of IDX files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torchvision import datasets

from mlrun import ImageData, MlrunError, Part
from mlrun_datasets.files import AGAIN, missing_file

FASHION = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
HIRAGANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")


def load_mnist(root: Path, *, download: bool) -> ImageData:
    """Returns MNIST as ImageData."""
    return load(
        datasets.MNIST,
        root,
        download=download,
        classes=tuple(str(digit) for digit in range(10)),
        source="The MNIST database of handwritten digits (LeCun, Cortes, Burges)",
        licence="CC BY-SA 3.0",
        mean=(0.1307,),
        std=(0.3081,),
    )


def load_fashion_mnist(root: Path, *, download: bool) -> ImageData:
    """Returns Fashion-MNIST as ImageData."""
    return load(
        datasets.FashionMNIST,
        root,
        download=download,
        classes=FASHION,
        source="Fashion-MNIST (Xiao, Rasul, Vollgraf, 2017)",
        licence="MIT",
        mean=(0.2860,),
        std=(0.3530,),
    )


def load_kmnist(root: Path, *, download: bool) -> ImageData:
    """Returns Kuzushiji-MNIST as ImageData."""
    return load(
        datasets.KMNIST,
        root,
        download=download,
        classes=HIRAGANA,
        source="Kuzushiji-MNIST (Clanuwat et al., 2018)",
        licence="CC BY-SA 4.0",
        mean=(0.1918,),
        std=(0.3483,),
    )


def load(reader: Any, root: Path, *, download: bool, **about: Any) -> ImageData:
    """Returns the data set that torchvision's `reader` reads below `root`.

    Raises:
        MlrunError: files are missing or broken.
    """
    folder = root / reader.__name__ / "raw"
    names = [Path(file).stem for file, _ in reader.resources]
    missing = [name for name in names if not (folder / name).is_file()]
    if missing and not download:
        raise missing_file(missing[0], folder)
    try:
        parts = [reader(root, train=train, download=bool(missing)) for train in (True, False)]
    except (RuntimeError, ValueError, TypeError, AssertionError, OSError, EOFError) as error:
        raise MlrunError(f"cannot read {folder}: {error or type(error).__name__}{AGAIN}") from error
    train, test = (Part(part.data.unsqueeze(1), part.targets.to(torch.int64)) for part in parts)
    return ImageData(train=train, test=test, **about)
