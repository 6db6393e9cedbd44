"""Images from the rows of CSV files."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from mlrun import ImageData, MlrunError, Part
from mlrun_datasets.cells import first_names, shown
from mlrun_datasets.csv_files import Table, label_column
from mlrun_datasets.numbering import NUMBER, number_labels


@dataclass(frozen=True)
class Layout:
    """The columns of label and pixels, and the images' shape; `order` is that of a row's pixels.

    label: its column, by name or, without a header row, by number; None: `label`, or the first.
    """

    label: str | None
    pixels: str | None
    height: int | None
    width: int | None
    channels: int
    order: Literal["chw", "hwc"]


def load_csv(
    tables: Mapping[str, Table],
    layout: Layout,
    *,
    classes: tuple[str, ...],
    num_classes: int | None,
) -> ImageData:
    """Returns CSV files as ImageData.

    Args:
        tables: the file of `train`, and of `validation` and `test` where there are any.

    Raises:
        MlrunError: a file does not hold what it should.
    """
    labels = {part: label_column(table, layout.label) for part, table in tables.items()}
    columns = pixel_columns(tables["train"], labels["train"], layout.pixels)
    height, width = shape_of(len(columns), layout)
    read: dict[str, Rows] = {}
    for part, table in tables.items():
        own = pixel_columns(table, labels[part], layout.pixels)
        check_same(table.path, own, tables["train"].path, columns)
        places = [table.names.index(name) for name in columns]
        read[part] = read_rows(table, labels[part], places)
    names, numbers = number_labels(
        {part: rows.labels for part, rows in read.items()},
        lambda part, position: tables[part].place(read[part].lines[position], labels[part]),
        classes,
        num_classes,
    )
    shape = (layout.channels, height, width)
    by_name = {
        part: Part(shaped(rows.pixels, shape, layout.order), torch.tensor(numbers[part]))
        for part, rows in read.items()
    }
    return ImageData(
        train=by_name["train"],
        validation=by_name.get("validation"),
        test=by_name.get("test"),
        classes=names,
        source=", ".join(str(table.path.absolute()) for table in tables.values()),
        licence="not stated",
    )


def pixel_columns(table: Table, label: int, prefix: str | None) -> list[str]:
    """Returns the names of the pixel columns, in the file's order.

    Raises:
        MlrunError: there is none.
    """
    if prefix is not None and not table.header:
        raise MlrunError(
            f"--dataset.pixels {prefix} needs a header row; without one, all columns but the "
            "label are pixels"
        )
    columns = [
        name
        for place, name in enumerate(table.names)
        if name and name.startswith(prefix or "") and place != label
    ]
    if not columns:
        raise MlrunError(
            f"{table.path} has no pixel columns {prefix or ''}… in its first row: "
            f"{first_names(table.names)}"
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


@dataclass(frozen=True)
class Rows:
    """The rows of a table: their pixels (N, P) one after another, labels as text, and lines."""

    pixels: bytearray
    labels: Sequence[str]
    lines: Sequence[int]


class Levels(dict[str, int]):
    """Texts of whole numbers 0–255; those that are met are kept. KeyError for any other text."""

    def __missing__(self, text: str) -> int:
        value = float(text) if NUMBER.fullmatch(text) else -1
        if not (0 <= value <= 255 and value == int(value)):
            raise KeyError(text)
        return self.setdefault(text, int(value))


def read_rows(table: Table, label: int, places: Sequence[int]) -> Rows:
    """Returns the rows of a table, the pixels in the order of their `places`.

    Raises:
        MlrunError: a row is too long or too short, a label is missing, or a pixel is no whole
            number 0–255.
    """
    levels = Levels({str(value): value for value in range(256)})
    pick = operator.itemgetter(*places) if len(places) > 1 else lambda row: [row[places[0]]]
    pixels, labels, lines = bytearray(), [], []
    for line, fields in table.rows():
        if not fields[label].strip():
            raise MlrunError(f"{table.place(line, label)}: no label")
        try:
            pixels += bytes(map(levels.__getitem__, pick(fields)))
        except KeyError:
            raise odd_pixel(table, line, fields, places, levels) from None
        labels.append(fields[label])
        lines.append(line)
    return Rows(pixels, labels, lines)


def odd_pixel(
    table: Table, line: int, fields: list[str], places: Sequence[int], levels: Levels
) -> MlrunError:
    """Returns the error for the first pixel of a row that is no whole number 0–255."""
    for place in places:
        try:
            levels[fields[place]]
        except KeyError:
            break
    hint = ""
    if line == 1 and fields[place].strip() and not NUMBER.fullmatch(fields[place]):
        hint = "; if this is a header row, leave out --dataset.header false"
    return MlrunError(
        f"{table.place(line, place)}: {shown(fields[place])}; expected a whole number 0–255{hint}"
    )


def shaped(pixels: bytearray, shape: tuple[int, int, int], order: Literal["chw", "hwc"]) -> Tensor:
    """Returns rows of pixels, (N, P) one after another, as images (N, C, H, W)."""
    values = torch.frombuffer(pixels, dtype=torch.uint8)
    if order == "chw":
        return values.view(-1, *shape)
    channels, height, width = shape
    return values.view(-1, height, width, channels).permute(0, 3, 1, 2).contiguous()
