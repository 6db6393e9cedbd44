"""What a visualiser draws, for tests to look at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mlrun import Picture, View
from mlrun.inside.drawing import Drawing, draw, named
from mlrun.inside.rendering import unpacked
from mlrun.seam.registry import discover


def drawings_of(name: str, view: View, **options: Any) -> list[Drawing]:
    """What the visualiser called `name` draws."""
    return draw(discover().find("visualiser", name).function, name, options, view)


def drawn_by(function: Callable[..., Any], name: str, view: View, **options: Any) -> dict[str, Any]:
    """The pictures, uint8 (H, W, 3), and tables of a visualiser, by key."""
    return {
        drawing.key: unpacked(drawing.content)
        if isinstance(drawing.content, bytes)
        else drawing.content
        for drawing in draw(function, name, options, view)
        if drawing.content is not None
    }


def drawn(name: str, view: View, **options: Any) -> dict[str, Any]:
    """The pictures and tables of the visualiser called `name`, by key."""
    return drawn_by(discover().find("visualiser", name).function, name, view, **options)


def pictures(name: str, view: View, **options: Any) -> dict[str, np.ndarray]:
    """The pictures alone."""
    found = drawn(name, view, **options)
    return {key: picture for key, picture in found.items() if isinstance(picture, np.ndarray)}


def figures(name: str, view: View, **options: Any) -> dict[str, Any]:
    """The figures of a visualiser, by label; a lone one has the empty label."""
    made = discover().find("visualiser", name).function(view, **options)
    return {label: one.image if isinstance(one, Picture) else one for label, one in named(made)}


def titles(name: str, view: View, **options: Any) -> dict[str, str]:
    """The title of each picture, by its label."""
    made = figures(name, view, **options)
    return {label: figure.texts[0].get_text() for label, figure in made.items()}
