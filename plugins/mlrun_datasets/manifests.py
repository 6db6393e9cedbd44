"""CSV files that name image files and their labels."""

from __future__ import annotations

import os
from collections.abc import Mapping

from mlrun import MlrunError
from mlrun_datasets.csv_files import Table, find_column, label_column
from mlrun_datasets.image_files import Listing, image_file
from mlrun_datasets.numbering import number_labels


def list_files(
    tables: Mapping[str, Table],
    paths: str,
    label: str | None,
    classes: tuple[str, ...],
    num_classes: int | None,
) -> Listing:
    """Returns the image files that the tables of `train` and other parts name.

    Args:
        paths: the column of the files' paths, full or relative to the table's folder.
        label: the column of their labels.

    Raises:
        MlrunError: there is no such column, a cell of them is empty, or labels do not fit.
    """
    columns = {part: columns_of(table, paths, label) for part, table in tables.items()}
    cells = {part: read_cells(table, columns[part]) for part, table in tables.items()}
    names, numbers = number_labels(
        {part: [name for _, _, name in rows] for part, rows in cells.items()},
        lambda part, position: tables[part].place(cells[part][position][0], columns[part][1]),
        classes,
        num_classes,
    )
    folder = tables["train"].path.absolute().parent
    files = {
        part: [
            image_file(
                table.path.absolute().parent / path,
                folder,
                number,
                table.place(line, columns[part][0]),
            )
            for (line, path, _), number in zip(cells[part], numbers[part], strict=True)
        ]
        for part, table in tables.items()
    }
    return Listing(folder, names, files, 0, tuple(table.path for table in tables.values()))


def columns_of(table: Table, paths: str, label: str | None) -> tuple[int, int]:
    """Returns the places of the columns of paths and of labels.

    Raises:
        MlrunError: they are the same, or are not there.
    """
    path = find_column(table, paths, "path-column")
    labels = label_column(table, label, taken=path)
    if path == labels:
        raise MlrunError(
            f"--dataset.path-column and --dataset.label are both column {table.column(path)} of "
            f"{table.path}"
        )
    return path, labels


def read_cells(table: Table, columns: tuple[int, int]) -> list[tuple[int, str, str]]:
    """Returns the line, the path and the label of each row.

    Raises:
        MlrunError: one of them is empty.
    """
    rows = []
    for line, fields in table.rows():
        for place, what in zip(columns, ("path", "label"), strict=True):
            if not fields[place].strip():
                raise MlrunError(f"{table.place(line, place)}: no {what}")
        path = os.path.expanduser(fields[columns[0]].strip())  # noqa: PTH111  # never raises
        rows.append((line, path, fields[columns[1]]))
    return rows
