"""CIFAR-10 and CIFAR-100: torchvision's list of files and sums, read by our own unpickler.

torchvision's reader takes only the published files, and unpickles them as they are. Ours
takes any files of that form, since it runs no code of a pickle.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torchvision import datasets
from torchvision.datasets.utils import download_and_extract_archive

from mlrun import ImageData, MlrunError, Part
from mlrun_datasets.files import fetching, missing_file
from mlrun_datasets.pickled import read_pickle

LICENCE = "not stated by its authors, who ask to cite Krizhevsky, 2009"
SHAPE = (3, 32, 32)


def load_cifar10(root: Path, *, download: bool) -> ImageData:
    """Returns CIFAR-10 as ImageData."""
    return load(
        datasets.CIFAR10,
        root,
        download=download,
        key="labels",
        names="label_names",
        source="CIFAR-10 (Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009)",
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
    )


def load_cifar100(root: Path, *, labels: Literal["fine", "coarse"], download: bool) -> ImageData:
    """Returns CIFAR-100 as ImageData, with its 100 classes or its 20 superclasses."""
    return load(
        datasets.CIFAR100,
        root,
        download=download,
        key=f"{labels}_labels",
        names=f"{labels}_label_names",
        source="CIFAR-100 (Krizhevsky, Learning Multiple Layers of Features from Tiny Images, "
        "2009)",
        mean=(0.5071, 0.4865, 0.4409),
        std=(0.2673, 0.2564, 0.2762),
    )


def load(
    reader: Any, root: Path, *, download: bool, key: str, names: str, **about: Any
) -> ImageData:
    """Returns the files of torchvision's `reader` below `root`.

    Args:
        key: of the labels in a batch.
        names: key of the classes' names in the meta file.

    Raises:
        MlrunError: files are missing or broken.
    """
    folder = root / reader.base_folder
    batches = [name for name, _ in reader.train_list + reader.test_list]
    missing = [n for n in [*batches, reader.meta["filename"]] if not (folder / n).is_file()]
    if missing and not download:
        raise missing_file(missing[0], folder)
    if missing:
        with fetching(folder):
            download_and_extract_archive(
                reader.url, str(root), filename=reader.filename, md5=reader.tgz_md5
            )
    classes = read_pickle(folder / reader.meta["filename"]).get(names)
    if not isinstance(classes, list):
        raise MlrunError(f"cannot read {folder / reader.meta['filename']}: no list {names} in it")
    train, test = (
        joined([read_batch(folder / name, key) for name, _ in files])
        for files in (reader.train_list, reader.test_list)
    )
    return ImageData(train=train, test=test, classes=tuple(classes), licence=LICENCE, **about)


def read_batch(path: Path, key: str) -> Part:
    """Returns one pickled batch: `data` uint8 (N, 3072), planes of red, green and blue.

    Raises:
        MlrunError: the file has something else in it.
    """
    batch = read_pickle(path)
    data, labels = batch.get("data"), batch.get(key)
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (3072,):
        description = f"{data.dtype} {data.shape}" if isinstance(data, np.ndarray) else "none"
        raise MlrunError(f"cannot read {path}: data are {description}, expected uint8 (N, 3072)")
    if not isinstance(labels, list) or not all(isinstance(label, int) for label in labels):
        raise MlrunError(f"cannot read {path}: no list of whole numbers {key} in it")
    return Part(torch.from_numpy(data.copy()).view(-1, *SHAPE), torch.tensor(labels))


def joined(batches: list[Part]) -> Part:
    """Returns the batches one after another."""
    return Part(torch.cat([b.images for b in batches]), torch.cat([b.labels for b in batches]))
