"""The first-party data sets. Torch is imported when one is loaded, so listing stays quick."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlrun import ImageData, hookimpl


def digits(root: Path) -> ImageData:
    """1,797 handwritten digits of 8 × 8 pixels, shipped with scikit-learn; no files needed.

    Every fifth image is the test part (360), the others are the training part (1,437); there
    is no validation part. The 17 grey levels are scaled to 0–255. Source: E. Alpaydin and
    C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository,
    1998 (its test part). Licence: CC BY 4.0.
    """
    from mlrun_datasets.embedded import load_digits

    return load_digits()


def mnist(root: Path, *, download: bool = False) -> ImageData:
    """MNIST: 60,000 training and 10,000 test images of handwritten digits, grey, 28 × 28.

    Source: Y. LeCun, C. Cortes and C. J. C. Burges, The MNIST database of handwritten
    digits. Licence: CC BY-SA 3.0. Read from MNIST/raw in the data folder, four unpacked IDX
    files.

    Args:
        download: fetch what is missing into the data folder, checked by torchvision's MD5 sums.
    """
    from mlrun_datasets.idx import load_mnist

    return load_mnist(root, download=download)


def fashion_mnist(root: Path, *, download: bool = False) -> ImageData:
    """Fashion-MNIST: 60,000 training and 10,000 test images of clothes, grey, 28 × 28.

    Source: H. Xiao, K. Rasul and R. Vollgraf, Fashion-MNIST, 2017 (arXiv:1708.07747).
    Licence: MIT. Read from FashionMNIST/raw in the data folder, four unpacked
    IDX files.

    Args:
        download: fetch what is missing into the data folder, checked by torchvision's MD5 sums.
    """
    from mlrun_datasets.idx import load_fashion_mnist

    return load_fashion_mnist(root, download=download)


@hookimpl
def register_datasets(register: Callable[..., Any]) -> None:
    """Registers the first-party data sets."""
    register(digits)
    register(mnist)
    register(fashion_mnist)
