"""Calls a visualiser, and returns its pictures and tables by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mlrun.errors import MlrunError, kind_of, legible
from mlrun.inside.drawing.rendering import ignore_missing_glyphs, packed
from mlrun.inside.kept import Values
from mlrun.inside.picture import Picture
from mlrun.inside.sandbox import untouched
from mlrun.inside.view import View
from mlrun.record.keys import Keys
from mlrun.record.tables import Table, checked

Pixels = NDArray[np.uint8]
MOST_KEPT = 64 * 2**20  # bytes of raw values behind one picture


@dataclass(frozen=True)
class Drawing:
    """One picture or table of a visualiser, as it was when it was yielded.

    label: the name that the visualiser gave it. key: its name in MLflow.
    content: a picture, packed for `rendering.render`; a table; or None where only values are
        kept.
    values: arrays of numbers by name.
    epoch: of a picture of the end that stands under a slider.
    """

    label: str
    key: str
    content: bytes | Table | None
    values: Values
    epoch: int | None = None


def draw(
    visualiser: Callable[..., Any],
    name: str,
    options: Mapping[str, Any],
    view: View,
    keys: Keys | None = None,
) -> list[Drawing]:
    """Returns the pictures and tables that a visualiser draws of `view`, each with its key.

    The key is the visualiser's name, `-`, and the name that the picture was given, as far as
    MLflow takes it; see `Keys`.

    Args:
        visualiser: the function, called with `view` and `options`.
        name: the visualiser's name.
        options: of the visualiser.
        view: what it draws.
        keys: of the run so far; none: of a run that begins.

    Raises:
        MlrunError: the visualiser returned something else.
        Exception: whatever the visualiser raises.
    """
    keys = Keys() if keys is None else keys
    drawings: dict[tuple[str, int | None], Drawing] = {}
    with untouched(view.device):
        ignore_missing_glyphs()
        for label, item in named(visualiser(view, **options)):
            picture = item if isinstance(item, Picture) else None
            epoch = None if picture is None else picture.epoch
            key = keys.of(name, label)
            if (key, epoch) in drawings:
                raise MlrunError(f"it drew two pictures named {label!r}")
            if picture is None:
                content: bytes | Table | None = content_of(item)
            else:
                content = None if picture.image is None else content_of(picture.image)
            values = {} if picture is None else values_of(picture, key, view)
            drawings[key, epoch] = Drawing(label, key, content, values, epoch)
    return list(drawings.values())


def content_of(item: object) -> bytes | Table:
    """Returns a checked table, or a packed picture."""
    if isinstance(item, Mapping):
        return checked(item)
    if isinstance(item, Figure):
        return packed(item)
    return packed(pixels_of(item))


def values_of(picture: Picture, key: str, view: View) -> dict[str, NDArray[Any]]:
    """Returns a copy of the values behind a picture; none, and a note, if they are too large.

    Raises:
        MlrunError: they are not numbers.
    """
    values: dict[str, NDArray[Any]] = {}
    for label, value in picture.values.items():
        array, name = np.asarray(value), legible(label)
        if array.dtype.kind not in "biuf":
            raise MlrunError(f"it keeps {array.dtype} values called {label!r}; expected numbers")
        if name in values:
            raise MlrunError(f"it keeps two arrays called {name!r}")
        values[name] = array.copy()
    size = sum(array.nbytes for array in values.values())
    if size > MOST_KEPT:
        view.note(f"the values behind {key} are not kept: {size / 2**20:,.0f} MiB, at most 64 are")
        return {}
    return values


def named(result: object) -> Iterator[tuple[str, object]]:
    """Yields (name, picture or table) pairs; a single picture or table has the empty name."""
    if isinstance(result, Figure | np.ndarray | Mapping | Picture):
        yield "", result
        return
    if inspect.iscoroutine(result):
        result.close()  # which Python would warn of
    if not isinstance(result, Iterable) or isinstance(result, str | type):
        raise MlrunError(
            f"it returned {kind_of(result)}; expected a Figure, a uint8 array (H, W, 3), "
            "a Picture, a table {column: list}, or pairs of a name and one of these"
        )
    for pair in result:
        if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str)):
            raise MlrunError(f"it yielded {kind_of(pair)}; expected (name, picture)")
        yield pair


def pixels_of(picture: object) -> Pixels:
    """Returns `picture` if it is uint8 (H, W, 3), or raises MlrunError."""
    if isinstance(picture, np.ndarray):
        if (
            picture.dtype == np.uint8
            and picture.ndim == 3
            and picture.shape[2] == 3
            and picture.size
        ):
            return picture
        raise MlrunError(
            f"it drew an array {picture.dtype} {picture.shape}; expected uint8 (H, W, 3), not empty"
        )
    raise MlrunError(
        f"it drew {kind_of(picture)}; expected a Figure, a uint8 array, a Picture or a table"
    )
