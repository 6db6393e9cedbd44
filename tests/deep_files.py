"""Image files of more than 8 bits, some of which Pillow does not write."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from data_files import drawn, write_image

COLOUR_TYPES = {1: 0, 3: 2, 2: 4, 4: 6}  # of PNG, by channels


def write_png16(path: Path, values: np.ndarray) -> Path:
    """A PNG of 16 bits, of values (H, W, C): grey, grey and alpha, RGB, RGBA."""
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, COLOUR_TYPES[channels], 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
            for name, data in chunks
        )
    )
    return path


def write_tiff16(path: Path, values: np.ndarray, order: str) -> Path:
    """A colour TIFF of 16 bits, of values (H, W, 3), its bytes in `order`: < or >."""
    height, width, channels = values.shape
    data = values.astype(f"{order}u2").tobytes()
    entries = [  # tag, type (3 of 16 bits, 4 of 32), count, value
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, channels, 122), (259, 3, 1, 1),
        (262, 3, 1, 2), (273, 4, 1, 128), (277, 3, 1, channels), (278, 4, 1, height),
        (279, 4, 1, len(data)),
    ]  # fmt: skip
    fields = {3: "HHIHxx", 4: "HHII"}
    table = b"".join(
        struct.pack(order + (fields[kind] if count == 1 else "HHII"), tag, kind, count, value)
        for tag, kind, count, value in entries
    )
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(entries))
    end = struct.pack(f"{order}I3H", 0, 16, 16, 16)
    path.write_bytes(start + table + end + data)
    return path


def write_dim_tree(
    folder: Path,
    *,
    count: int = 6,
    low: float = 1050,
    step: float = 70,
    unit: float = 1,
    suffix: str = "png",
    dtype: type = np.uint16,
) -> Path:
    """Two classes whose values lie `step` apart, in steps of `unit` from `low`: 20 of each."""
    for place, name in enumerate("ab"):
        for number in range(count):
            shades = drawn(10, 12, seed=10 * place + number).astype(int) % 20
            values = low + (step * place + shades) * unit
            write_image(folder / name / f"{number}.{suffix}", values.astype(dtype))
    return folder
