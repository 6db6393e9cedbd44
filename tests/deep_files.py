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


def write_tiff(
    path: Path, values: np.ndarray, order: str, *, planes: bool = False, packed: bool = False
) -> Path:
    """A TIFF of values (H, W, C), its bytes in `order`, < or >.

    planes: one colour follows the other, not one pixel the other. packed: compressed.
    """
    height, width, channels = values.shape
    ordered = values.astype(values.dtype.newbyteorder(order))
    parts = np.moveaxis(ordered, -1, 0) if planes else [ordered]
    strips = [zlib.compress(part.tobytes()) if packed else part.tobytes() for part in parts]
    ends = np.cumsum([len(strip) for strip in strips])
    tags = {
        256: [width], 257: [height], 258: [8 * values.itemsize] * channels,
        259: [8 if packed else 1], 262: [2 if channels == 3 else 1],
        273: [1000 + int(end) - len(one) for end, one in zip(ends, strips, strict=True)],
        277: [channels], 278: [height], 279: [len(one) for one in strips],
        284: [2 if planes else 1], 339: [3 if values.dtype.kind == "f" else 1] * channels,
    }  # fmt: skip
    table, more = b"", b""
    for tag, numbers in tags.items():
        kind = 4 if tag in (273, 279) else 3
        packed_numbers = struct.pack(f"{order}{len(numbers)}{'I' if kind == 4 else 'H'}", *numbers)
        if len(packed_numbers) > 4:
            place = struct.pack(f"{order}I", 500 + len(more))
            more += packed_numbers
        else:
            place = packed_numbers.ljust(4, b"\0")
        table += struct.pack(f"{order}HHI", tag, kind, len(numbers)) + place
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(tags))
    head = (start + table + bytes(4)).ljust(500, b"\0") + more
    path.write_bytes(head.ljust(1000, b"\0") + b"".join(strips))
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
