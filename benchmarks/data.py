"""The data that is measured on: MNIST, or something small of its form."""

from __future__ import annotations

import struct
from pathlib import Path

import click

FILES = tuple(
    f"{part}-{kind}" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")
)
FEW, AS_MANY = (640, 128), (60_000, 10_000)  # images to train on, and to test


def check(folder: Path) -> None:
    """Raises click.UsageError unless MNIST's four unpacked files lie in `folder`/MNIST/raw."""
    absent = [name for name in FILES if not (folder / "MNIST/raw" / f"{name}-ubyte").is_file()]
    if absent:
        raise click.UsageError(
            f"no {absent[0]}-ubyte in {folder / 'MNIST/raw'}; give --data-dir the folder that "
            "holds MNIST/raw with its four unpacked files, or try --quick, which needs none"
        )


def make_up(folder: Path, train: int, test: int) -> None:
    """Writes random images and labels in MNIST's four files."""
    import numpy as np

    raw = folder / "MNIST/raw"
    raw.mkdir(parents=True)
    drawn = np.random.default_rng(0)
    for part, count in (("train", train), ("t10k", test)):
        images = drawn.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = (np.arange(count) % 10).astype(np.uint8)
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
            (raw / f"{part}-{kind}-ubyte").write_bytes(head + array.tobytes())
