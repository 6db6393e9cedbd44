"""The first-party data sets. Torch is imported when one is loaded, so listing stays quick."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from mlrun import ImageData, hookimpl
from mlrun_datasets.own_tables import csv


def digits(root: Path, *, size: int | None = None) -> ImageData:
    """1,797 handwritten digits of 8 × 8 pixels, shipped with scikit-learn; no files needed.

    Every fifth image is the test part (360), the others are the training part (1,437); there
    is no validation part. The 17 grey levels are scaled to 0–255. Source: E. Alpaydin and
    C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository,
    1998 (its test part). Licence: CC BY 4.0.

    Args:
        size: height and width in pixels, from 8, that the images are enlarged to, bilinearly
            between pixel centres (28 for networks made for MNIST); none: 8 × 8, as they are.
    """
    from mlrun_datasets.embedded import load_digits

    return load_digits(size)


def photographs(root: Path, *, size: int = 64) -> ImageData:
    """Tiles of two photographs, a temple in China and a flower, colour; no files needed.

    Both are 427 × 640 pixels and are cut into squares without overlap; at 64 pixels that is 60
    of each. Every fifth tile of each is in the test part (24), the others are the training part
    (96); there is no validation part. Tiles of one photograph are much alike: a network that
    tells the two apart has learnt little, but it is colour, and shows what transfer does.
    Source: china.jpg by danielbuechele, flower.jpg by vultilion, on Flickr, 2011; shipped with
    scikit-learn (load_sample_images). Licence: CC BY 2.0.

    Args:
        size: height and width of the tiles in pixels, 1 to 320.
    """
    from mlrun_datasets.embedded import load_photographs

    return load_photographs(size)


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


def kmnist(root: Path, *, download: bool = False) -> ImageData:
    """KMNIST: 60,000 training and 10,000 test images of cursive hiragana, grey, 28 × 28.

    Ten characters, named in Latin letters. Source: T. Clanuwat et al., Deep Learning for
    Classical Japanese Literature, 2018 (arXiv:1812.01718). Licence: CC BY-SA 4.0. Read from
    KMNIST/raw in the data folder, four unpacked IDX files.

    Args:
        download: fetch what is missing into the data folder, checked by torchvision's MD5 sums.
    """
    from mlrun_datasets.idx import load_kmnist

    return load_kmnist(root, download=download)


def cifar10(root: Path, *, download: bool = False) -> ImageData:
    """CIFAR-10: 50,000 training and 10,000 test photographs in 10 classes, colour, 32 × 32.

    Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
    Licence: not stated by its authors, who ask to cite that report. Read from
    cifar-10-batches-py in the data folder: six pickled batches and batches.meta, of which
    nothing but arrays, lists and text is unpickled.

    Args:
        download: fetch what is missing into the data folder, checked by torchvision's MD5 sum.
    """
    from mlrun_datasets.cifar import load_cifar10

    return load_cifar10(root, download=download)


def cifar100(
    root: Path, *, labels: Literal["fine", "coarse"] = "fine", download: bool = False
) -> ImageData:
    """CIFAR-100: 50,000 training and 10,000 test photographs in 100 classes, colour, 32 × 32.

    Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
    Licence: not stated by its authors, who ask to cite that report. Read from
    cifar-100-python in the data folder: the pickled files train, test and meta, of which
    nothing but arrays, lists and text is unpickled.

    Args:
        labels: fine for the 100 classes, coarse for the 20 superclasses.
        download: fetch what is missing into the data folder, checked by torchvision's MD5 sum.
    """
    from mlrun_datasets.cifar import load_cifar100

    return load_cifar100(root, labels=labels, download=download)


def svhn(root: Path, *, extra: bool = False, download: bool = False) -> ImageData:
    """SVHN: 73,257 training and 26,032 test images of house numbers, colour, 32 × 32.

    The cropped digits; the label 10 of the files is the digit 0. Source: Y. Netzer et al.,
    Reading Digits in Natural Images with Unsupervised Feature Learning, 2011. Licence: for
    non-commercial use only. Read from SVHN in the data folder: train_32x32.mat and
    test_32x32.mat, perhaps extra_32x32.mat.

    Args:
        extra: add the 531,131 easier images of the extra part to the training part.
        download: fetch what is missing into the data folder, checked by torchvision's MD5 sums.
    """
    from mlrun_datasets.matlab import load_svhn

    return load_svhn(root, extra=extra, download=download)


def image_folder(
    root: Path,
    *,
    path: str,
    size: int | tuple[int, int] | None = 64,
    channels: Literal[1, 3] = 3,
    workers: int = 0,
    skip_unreadable: bool = False,
    cache: str | None = None,
    range: tuple[float, float] | None = None,
) -> ImageData:
    """Images from folders of files: one folder a class, or train, val and test with those.

    Any format, mode and size that Pillow reads, in subfolders too. Also called training;
    valid, validation; testing. Transparency goes on white, EXIF turns are made; values of more
    than 8 bits become 0–255 by one range for all images, that of the training images. Then the
    image is scaled until it covers the size, and its centre cut out.
    The images are decoded once, into a cache that is mapped into memory, so they need not fit
    there; it is made again when a file is added, removed or changed. Source: the user's own
    files. Licence: theirs.

    Args:
        path: the folder: its full path, or its path in the data folder.
        size: height and width in pixels, one number for both; none: as they are, all alike.
        channels: 1 for grey, 3 for red, green and blue.
        workers: processes that decode; 0 for one a core.
        skip_unreadable: leave out, and name, images that cannot be read, or differ with size none.
        cache: folder for the decoded images; none: below MLRUN_HOME, or the system's cache.
        range: values that become 0 and 255 in images of more than 8 bits; none: the lowest and
            highest of the training images.
    """
    from mlrun_datasets.image_cache import Decoding, load_image_folder

    sides = (size, size) if isinstance(size, int) else size
    decoding = Decoding(sides, channels, workers, skip_unreadable, cache, range)
    return load_image_folder(root, path, decoding)


@hookimpl
def register_datasets(register: Callable[..., Any]) -> None:
    """Registers the first-party data sets."""
    register(digits)
    register(photographs)
    register(mnist)
    register(fashion_mnist)
    register(kmnist)
    register(cifar10)
    register(cifar100)
    register(svhn)
    register(csv)
    register(image_folder)
