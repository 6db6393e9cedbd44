"""Tables in the form that MLflow's pages show, with images among their cells."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mlrun.errors import MlrunError, one_line
from mlrun.record.events import Event
from mlrun.record.pictures import THUMBNAIL, encode, thumbnail

Cell = str | int | float | bool | NDArray[np.uint8] | None
Table = dict[str, list[Cell]]
TABLES_TAG = "mlflow.loggedArtifacts"  # which JSON files MLflow's pages show as tables
LONGEST_TAG = 5000  # characters: a longer one would be cut, and could not be read


def checked(table: Mapping[object, object]) -> Table:
    """Returns a copy of `table` if MLflow can show it.

    Args:
        table: by the column's name a list of cells, all of one length. A cell is a text, a
            number, True or False, None, or an image, uint8 (H, W, 3); a column that holds an
            image holds nothing else.

    Raises:
        MlrunError: the table is not of this form.
    """
    copied: Table = {}
    for name, cells in table.items():
        if not isinstance(name, str):
            raise MlrunError(f"a table's column is named {name!r}; expected a text")
        if isinstance(cells, str) or not isinstance(cells, Sequence):
            raise MlrunError(f"column {name} is {type(cells).__name__}; expected a list of cells")
        copied[name] = [checked_cell(cell, name, row) for row, cell in enumerate(cells)]
        images = sum(isinstance(cell, np.ndarray) for cell in copied[name])
        if images not in (0, len(cells)):
            raise MlrunError(
                f"column {name} has {images} images among {len(cells)} cells; expected all or none"
            )
    if not copied:
        raise MlrunError("a table has no columns; expected {column: list of cells}")
    lengths = {name: len(cells) for name, cells in copied.items()}
    if len(set(lengths.values())) > 1:
        sizes = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise MlrunError(f"the columns of a table differ in length: {sizes}")
    return copied


def checked_cell(cell: object, column: str, row: int) -> Cell:
    """Returns a cell as a plain Python value, or an image, copied."""
    if isinstance(cell, np.generic):
        cell = cell.item()
    if cell is None or isinstance(cell, str | int | float):
        return cell
    kind = type(cell).__name__
    if isinstance(cell, np.ndarray):
        if cell.dtype == np.uint8 and cell.ndim == 3 and cell.shape[2] == 3 and cell.size:
            return cell.copy()
        kind = f"an array {cell.dtype} {cell.shape}"
    raise MlrunError(
        f"column {column}, row {row}: {kind}; expected a text, a number, True or False, None, "
        "or an image, uint8 (H, W, 3)"
    )


def table_events(name: str, table: Table) -> list[Event]:
    """Returns the events of `tables/<name>.json` and of the images that it names.

    The images lie beside it in `tables/<name>/`, called after column and row from 1. They
    must not lie in `images/`, where they would make MLflow's image grids vanish.
    """
    events = []
    rows: list[list[object]] = [[] for _ in next(iter(table.values()))]
    for number, cells in enumerate(table.values(), start=1):
        for row, cell in enumerate(cells):
            if isinstance(cell, np.ndarray):
                files = image_events(f"tables/{name}/{number}-{row + 1}", cell)
                events += files
                paths = {"filepath": files[0].name, "compressed_filepath": files[-1].name}
                rows[row].append({"type": "image", **paths})
            else:
                rows[row].append(finite(cell))
    content = json.dumps({"columns": list(table), "data": rows}, allow_nan=False)
    return [*events, Event("artifact", table_path(name), content.encode())]


def read_table(content: str) -> Table | None:
    """Returns a table from the content of its JSON file; None if images are among its cells.

    Raises:
        MlrunError: the content is not a table.
    """
    try:
        document = json.loads(content)
        columns, rows = document["columns"], document["data"]
        if any(isinstance(cell, dict) for row in rows for cell in row):
            return None
        cells = zip(*rows, strict=True) if rows else ([] for _ in columns)
        return checked(dict(zip(columns, map(list, cells), strict=True)))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise MlrunError(f"it is no table ({one_line(error)})") from None


def image_events(stem: str, image: NDArray[np.uint8]) -> list[Event]:
    """Returns the event of an image, and of a small copy if it is a large one."""
    events = [Event("artifact", f"{stem}.png", encode(image, "PNG"))]
    if max(image.shape) > THUMBNAIL:
        small = encode(thumbnail(image), "WEBP")
        events.append(Event("artifact", f"{stem}-small.webp", small))
    return events


def finite(cell: Cell) -> Cell:
    """Returns the cell; None for a number that JSON cannot hold."""
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell


def table_path(name: str) -> str:
    """Returns the path of a table in the run."""
    return f"tables/{name}.json"


def with_table(tag: str, name: str) -> str:
    """Returns the value of `TABLES_TAG` with one more table; the same if it is in, or full.

    A tag that holds no list, which somebody else set, is as good as none.

    >>> with_table("[]", "per-class")
    '[{"path": "tables/per-class.json", "type": "table"}]'
    """
    try:
        entries = json.loads(tag)
    except (ValueError, RecursionError):
        entries = []
    entries = entries if isinstance(entries, list) else []
    entry = {"path": table_path(name), "type": "table"}
    longer = json.dumps([*entries, entry])
    return tag if entry in entries or len(longer) > LONGEST_TAG else longer
