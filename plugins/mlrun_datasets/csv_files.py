"""CSV files record by record, each with the line it begins at; faults are named by place."""

from __future__ import annotations

import bz2
import csv
import difflib
import gzip
import io
import lzma
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TextIO, cast

from mlrun import MlrunError
from mlrun_datasets.cells import first_names, is_text, shown
from mlrun_datasets.files import reading, resolve_path

DELIMITERS = ",;\t|"  # a file's is the first of them that cuts its first record


@dataclass(frozen=True)
class Table:
    """A CSV file whose first record was read.

    names: of the columns, blanks around them left out; without a header row their numbers, from 1.
    """

    path: Path
    header: bool
    delimiter: str
    names: tuple[str, ...]

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yields the line and the fields, as many as there are names, of each record.

        All records may end in a delimiter.

        Raises:
            MlrunError: a record has more or fewer fields, or there is none.
        """
        records = records_of(self.path, self.delimiter)
        if self.header:
            next(records)
        width = 0
        for line, fields in records:
            if not width:
                width = len(self.names) + (len(fields) == len(self.names) + 1 and not fields[-1])
            if len(fields) != width:
                raise self.ragged(line, fields, width)
            yield line, fields[: len(self.names)]
        if not width:
            raise MlrunError(f"{self.path} has a header row and nothing below it")

    def ragged(self, line: int, fields: list[str], width: int) -> MlrunError:
        """Returns the error for a record that has more or fewer fields than the others."""
        first = "the header" if self.header and width == len(self.names) else "the first one"
        number = min(len(fields), width)
        text = shown(fields[number]) if len(fields) > width else "nothing"
        return MlrunError(
            f"{self.place(line, number)}: {text}; this row has {len(fields)} fields, "
            f"{first} {width}"
        )

    def column(self, number: int) -> str:
        """Returns a column, counted from 0, as messages name it: its name and number."""
        named = self.header and number < len(self.names)
        return f"{self.names[number]} ({number + 1})" if named else str(number + 1)

    def place(self, line: int, number: int) -> str:
        """Returns where a cell is; `number` counts the columns from 0."""
        return f"{self.path}, row {line}, column {self.column(number)}"


def open_table(path: Path, *, header: bool) -> Table:
    """Returns a CSV file, its first record read.

    Raises:
        MlrunError: it is empty, no text, or two of its columns have the same name.
    """
    with reading(path), opened(path) as file:
        first = next((line for line in file if line.strip()), "")
    delimiter = next((one for one in DELIMITERS if len(split(first, one)) > 1), ",")
    fields = next((fields for _, fields in records_of(path, delimiter)), None)
    if fields is None:
        expected = "a header row" if header else "a row for each image"
        raise MlrunError(f"{path} is empty; expected {expected}")
    if not header:
        width = len(fields) - (len(fields) > 1 and not fields[-1])
        return Table(path, header, delimiter, tuple(str(n + 1) for n in range(width)))
    names = [name.strip() for name in fields]
    names = names[:-1] if names[-1] == "" else names
    name, times = max(Counter(filter(None, names)).items(), key=lambda one: one[1], default=("", 0))
    if times > 1:
        hint = headless(names)
        raise MlrunError(f"{path} has {times} columns called {name}{hint and '; ' + hint}")
    return Table(path, header, delimiter, tuple(names))


def open_tables(root: Path, parts: Mapping[str, str | None], *, header: bool) -> dict[str, Table]:
    """Returns the files of the parts that have one, their first records read."""
    paths = {part: resolve_path(root, path, part) for part, path in parts.items() if path}
    return {part: open_table(path, header=header) for part, path in paths.items()}


def find_column(table: Table, text: str, option: str) -> int:
    """Returns the place, from 0, of the column that `option` names: by name, or else by number.

    Raises:
        MlrunError: there is none.
    """
    if text in table.names:
        return table.names.index(text)
    if not table.header:
        raise MlrunError(
            f"--dataset.{option} {text}: without a header row columns are numbers, and "
            f"{table.path} has 1 to {len(table.names)}"
        )
    near = {name.casefold(): name for name in table.names}
    matches = difflib.get_close_matches(text.casefold(), near, n=1)
    parted = "columns are parted by a comma, a semicolon, a tab or |"
    hints = [headless(table.names), parted if len(table.names) == 1 else ""]
    name = f"did you mean {near[matches[0]]}? Name" if matches else "name"
    raise MlrunError(
        f"{table.path} has no column {text} in its first row, but {len(table.names)}: "
        f"{first_names(table.names)}; "
        + "; ".join([*filter(None, hints), f"{name} the column with --dataset.{option}"])
    )


def headless(names: Sequence[str]) -> str:
    """Returns what to do where the names of the columns are numbers, or nothing."""
    numbers = all(name.isdecimal() for name in names if name)
    return "if it has no header row, say so with --dataset.header false" if numbers else ""


def label_column(table: Table, label: str | None, taken: int | None = None) -> int:
    """Returns the place of the labels' column: the first that is not `taken` without a header."""
    if label is None and not table.header:
        return 1 if taken == 0 and len(table.names) > 1 else 0
    return find_column(table, label or "label", "label")


def records_of(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yields the fields of each record, and the line it begins at, from 1; blank lines are none.

    Raises:
        MlrunError: the file cannot be read, or is no text in UTF-8; it names the place.
    """
    with reading(path), opened(path) as file:
        lines = Lines(file)
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        while True:
            line = reader.line_num + 1
            try:
                fields = next(reader, None)
            except csv.Error as error:
                raise MlrunError(
                    f"{path}, row {line}: {error}; is a quotation mark in it never closed?"
                ) from None
            if fields is None:
                return
            if lines.odd:
                check_text(fields, f"{path}, row {line}")
            if len(fields) > 1 or any(field.strip() for field in fields):
                yield line, fields


class Lines:
    """The lines of a file; `odd` once one has held a zero byte or bytes that are not UTF-8."""

    def __init__(self, file: TextIO) -> None:
        self.file = file
        self.odd = False

    def __iter__(self) -> Iterator[str]:
        for line in self.file:
            if "\0" in line or not (line.isascii() or is_text(line)):
                self.odd = True
            yield line


def check_text(fields: list[str], place: str) -> None:
    """Raises MlrunError if a field has a zero byte or is not UTF-8."""
    for number, field in enumerate(fields, start=1):
        if "\0" in field or not is_text(field):
            what = "a zero byte (NUL)" if "\0" in field else "bytes that are not UTF-8"
            raise MlrunError(
                f"{place}, column {number}: {what} in {shown(field)}; expected text, saved as UTF-8"
            )


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """Opens a file, packed or not, as text, line ends as they are."""
    with (
        path.open("rb") as file,
        unpacked(file, path.suffix.lower()) as data,
        io.TextIOWrapper(data, "utf-8-sig", errors="surrogateescape", newline="") as text,
    ):
        yield text


def unpacked(file: IO[bytes], suffix: str) -> IO[bytes]:
    """Returns the content of a file that is packed as its suffix says, or the file itself.

    Raises:
        MlrunError: it is an archive of more than one file, or of none.
    """
    match suffix:
        case ".gz":
            return cast("IO[bytes]", gzip.GzipFile(fileobj=file))
        case ".bz2":
            return bz2.BZ2File(file)
        case ".xz":
            return lzma.LZMAFile(file)
        case ".zip":
            archive = zipfile.ZipFile(file)
            names = archive.namelist()
            if len(names) != 1:
                raise MlrunError(f"{file.name} holds {len(names)} files; expected one, the table")
            return archive.open(names[0])
        case _:
            return file


def split(line: str, delimiter: str) -> list[str]:
    """Returns the fields of a line."""
    return next(csv.reader([line], delimiter=delimiter), [])
