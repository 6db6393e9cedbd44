"""From a visualiser to named pictures and tables."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mlrun.errors import MlrunError
from mlrun.inside.sandbox import untouched
from mlrun.inside.view import View
from mlrun.record.tables import Table, checked

Pixels = NDArray[np.uint8]
LONGEST_LABEL = 100  # characters: a file's name has room for little more


def draw(
    visualiser: Callable[..., Any], name: str, options: Mapping[str, Any], view: View
) -> dict[str, Pixels | Table]:
    """Returns what a visualiser draws of `view` by name: pictures, uint8 (H, W, 3), and tables.

    Its name is the visualiser's, `-`, and the name that it was given.

    Raises:
        MlrunError: the visualiser returned something else.
        Exception: whatever the visualiser raises.
    """
    drawn: dict[str, Pixels | Table] = {}
    with untouched(view.device):
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # it is drawn as a box
        for label, picture in named(visualiser(view, **options)):
            key = key_of(name, label)
            if key in drawn:
                raise MlrunError(f"it drew two pictures named {label!r}")
            drawn[key] = checked(picture) if isinstance(picture, Mapping) else pixels(picture)
    return drawn


def named(result: object) -> Iterator[tuple[str, object]]:
    """Yields (name, picture or table) pairs; a lone one has the empty name."""
    if isinstance(result, Figure | np.ndarray | Mapping):
        yield "", result
        return
    if not isinstance(result, Iterable) or isinstance(result, str):
        raise MlrunError(
            f"it returned {type(result).__name__}; expected a Figure, a uint8 array (H, W, 3), "
            "a table {column: list}, or pairs of a name and one of these"
        )
    for pair in result:
        if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str)):
            raise MlrunError(f"it yielded {type(pair).__name__}; expected (name, picture)")
        yield pair


def key_of(visualiser: str, label: str) -> str:
    """Returns the key of a picture in MLflow; what MLflow cannot have in a key becomes `_`."""
    clean = re.sub(r"[^A-Za-z0-9_.-]", "_", label)[:LONGEST_LABEL]
    return f"{visualiser}-{clean}" if clean else visualiser


def pixels(picture: object) -> Pixels:
    """Returns a Figure as drawn, or a uint8 array (H, W, 3) as it is, copied."""
    if isinstance(picture, Figure):
        canvas = FigureCanvasAgg(picture)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()
    if isinstance(picture, np.ndarray):
        if (
            picture.dtype == np.uint8
            and picture.ndim == 3
            and picture.shape[2] == 3
            and picture.size
        ):
            return picture.copy()
        raise MlrunError(
            f"it drew an array {picture.dtype} {picture.shape}; expected uint8 (H, W, 3), not empty"
        )
    raise MlrunError(
        f"it drew {type(picture).__name__}; expected a Figure, a uint8 array or a table"
    )
