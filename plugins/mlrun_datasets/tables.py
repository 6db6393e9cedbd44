"""Images from the rows of CSV files."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pandas.api.types import is_numeric_dtype
from torch import Tensor

from mlrun import ImageData, MlrunError, Part
from mlrun_datasets.files import reading, resolve_path
from mlrun_datasets.numbering import first_names, number_labels

AT_ONCE = 2000  # rows


@dataclass(frozen=True)
class Layout:
    """The columns of label and pixels, and the images' shape; `order` is that of a row's pixels."""

    label: str
    pixels: str | None
    height: int | None
    width: int | None
    channels: int
    order: Literal["chw", "hwc"]


def load_csv(
    root: Path,
    *,
    parts: Mapping[str, str | None],
    layout: Layout,
    classes: tuple[str, ...],
    num_classes: int | None,
) -> ImageData:
    """Returns CSV files as ImageData.

    Args:
        parts: the file of `train`, and of `validation` and `test` where there are any.

    Raises:
        MlrunError: a file is missing or does not hold what it should.
    """
    paths = {
        name: resolve_path(root, path, name) for name, path in parts.items() if path is not None
    }
    columns = pixel_columns(paths["train"], layout)
    height, width = shape_of(len(columns), layout)
    images: dict[str, Tensor] = {}
    labels: dict[str, list[str]] = {}
    for name, path in paths.items():
        check_same(path, pixel_columns(path, layout), paths["train"], columns)
        pixels, labels[name] = read_rows(path, layout.label, columns)
        images[name] = shaped(pixels, (layout.channels, height, width), layout.order)
    names, numbers = number_labels(labels, paths, classes, num_classes)
    by_name = {name: Part(images[name], torch.tensor(numbers[name])) for name in paths}
    return ImageData(
        train=by_name["train"],
        validation=by_name.get("validation"),
        test=by_name.get("test"),
        classes=names,
        source=", ".join(str(path.absolute()) for path in paths.values()),
        licence="not stated",
    )


def read_csv(path: Path, **options: Any) -> Any:
    """Returns a CSV file as pandas reads it with these options."""
    return pd.read_csv(path, encoding="utf-8-sig", index_col=False, **options)


@contextmanager
def strictly(path: Path) -> Iterator[None]:
    """Makes an error of rows that pandas would cut to the header's length, with a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            yield
        except pd.errors.ParserWarning:
            raise MlrunError(f"{path} has rows with more fields than its first row") from None


def pixel_columns(path: Path, layout: Layout) -> list[str]:
    """Returns the names of the pixel columns, in the file's order, from its header row.

    Raises:
        MlrunError: the file has no header, no label column, no pixel column, or one twice.
    """
    with reading(path):
        try:
            header = read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False)
        except pd.errors.EmptyDataError:
            raise MlrunError(
                f"{path} is empty; expected a header row with {layout.label}"
            ) from None
    names: list[str] = header.iloc[0].tolist()
    if layout.label not in names:
        raise MlrunError(
            f"{path} has no column {layout.label} in its first row, but {len(names)}: "
            f"{first_names(names)}; name the labels' column with --dataset.label"
        )
    ((name, times),) = Counter(names).most_common(1)
    if times > 1:
        raise MlrunError(f"{path} has {times} columns called {name or 'nothing'}")
    prefix = layout.pixels or ""
    columns = [name for name in names if name.startswith(prefix) and name != layout.label]
    if not columns:
        raise MlrunError(
            f"{path} has no pixel columns {prefix}… in its first row: {first_names(names)}"
        )
    return columns


def check_same(path: Path, columns: list[str], first: Path, expected: list[str]) -> None:
    """Raises MlrunError unless two files have the same pixel columns, in any order."""
    odd = sorted(set(columns) ^ set(expected))
    if odd:
        raise MlrunError(
            f"{path} has {len(columns)} pixel columns, {first} has {len(expected)}; "
            f"{first_names(odd)} only in one of them"
        )


def shape_of(count: int, layout: Layout) -> tuple[int, int]:
    """Returns height and width of images of `count` pixels in all channels.

    Raises:
        MlrunError: they do not fit.
    """
    area, rest = divmod(count, layout.channels)
    height, width = layout.height, layout.width
    if height is None and width is None:
        height = width = math.isqrt(area)
    height = area // width if height is None and width else height
    width = area // height if width is None and height else width
    if rest or not height or not width or height * width != area:
        shape = f"{layout.channels} × {height or '?'} × {width or '?'}"
        raise MlrunError(
            f"{count} pixel columns are not {shape}; give --dataset.height, --dataset.width and "
            "--dataset.channels, or which columns are pixels with --dataset.pixels PREFIX"
        )
    return height, width


def read_rows(path: Path, label: str, columns: list[str]) -> tuple[NDArray[np.uint8], list[str]]:
    """Returns the pixels, uint8 (N, P) in the order of `columns`, and the labels as text.

    Raises:
        MlrunError: a row is too long, a label is missing, or a pixel is no number 0–255.
    """
    pixels: list[NDArray[np.uint8]] = []
    labels: list[str] = []
    with reading(path):
        chunks = read_csv(
            path,
            dtype={label: str},
            keep_default_na=False,
            na_values=[""],
            low_memory=False,
            chunksize=AT_ONCE,
        )
        with chunks, strictly(path):
            for chunk in chunks:
                pixels.append(pixels_of(chunk, columns, path, len(labels)))
                if chunk[label].isna().any():
                    row = 1 + len(labels) + int(chunk[label].isna().argmax())
                    raise MlrunError(f"{path}, row {row}: no {label}")
                labels += chunk[label].tolist()
    if not labels:
        raise MlrunError(f"{path} has a header row and nothing below it")
    return np.concatenate(pixels), labels


def pixels_of(chunk: Any, columns: list[str], path: Path, before: int) -> NDArray[np.uint8]:
    """Returns some rows' pixels, uint8 (n, P).

    Raises:
        MlrunError: one of them is no whole number 0–255; `before` rows came before.
    """
    cells = chunk[columns]
    texts = [name for name in columns if not is_numeric_dtype(cells[name])]
    numbers = cells.assign(**{name: pd.to_numeric(cells[name], errors="coerce") for name in texts})
    values = numbers.to_numpy(np.float64)
    fine = (values >= 0) & (values <= 255) & (values == np.floor(values))  # a NaN is not
    if not fine.all():
        row, column = np.argwhere(~fine)[0]
        cell = cells.iat[row, column]
        raise MlrunError(
            f"{path}, row {before + row + 1}, column {columns[column]}: "
            f"{'nothing' if pd.isna(cell) else cell}; expected a whole number 0–255"
        )
    return np.ascontiguousarray(values, dtype=np.uint8)


def shaped(
    pixels: NDArray[np.uint8], shape: tuple[int, int, int], order: Literal["chw", "hwc"]
) -> Tensor:
    """Returns rows (N, P) as images (N, C, H, W)."""
    rows = torch.from_numpy(pixels)
    if order == "chw":
        return rows.view(-1, *shape)
    channels, height, width = shape
    return rows.view(-1, height, width, channels).permute(0, 3, 1, 2).contiguous()
