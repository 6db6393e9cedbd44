"""What a visualiser draws, for tests to look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import matplotlib
import numpy as np

from mlrun import Picture, View
from mlrun.inside.drawing.draw import Drawing, draw, named
from mlrun.inside.drawing.rendering import unpacked
from mlrun.seam.registry import discover


def drawings_of(name: str, view: View, **options: Any) -> list[Drawing]:
    """What the visualiser called `name` draws of `view`.

    One that is called each epoch and at the end is called twice, with what it kept.
    """
    component = discover().find("visualiser", name)
    made = draw(component.function, name, options, view)
    if len(component.when) == 1:
        return made
    kept = {view.epoch: {drawing.label: drawing.values for drawing in made}}
    return made + draw(component.function, name, options, replace(view, final=True, kept=kept))


def drawn_by(function: Callable[..., Any], name: str, view: View, **options: Any) -> dict[str, Any]:
    """The pictures, uint8 (H, W, 3), and tables of a visualiser, by key."""
    return contents(draw(function, name, options, view))


def contents(drawings: list[Drawing]) -> dict[str, Any]:
    """The pictures, uint8 (H, W, 3), and tables, by key."""
    return {
        drawing.key: unpacked(drawing.content)
        if isinstance(drawing.content, bytes)
        else drawing.content
        for drawing in drawings
        if drawing.content is not None
    }


def drawn(name: str, view: View, **options: Any) -> dict[str, Any]:
    """The pictures and tables of the visualiser called `name`, by key."""
    return contents(drawings_of(name, view, **options))


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


def decode(image: np.ndarray, low: float, high: float, cmap: str) -> np.ndarray:
    """The value whose colour is nearest, for each pixel."""
    table = (matplotlib.colormaps[cmap](np.arange(256))[:, :3] * 255).round()
    distance = np.abs(image[:, :, None].astype(float) - table).sum(-1)
    return low + (high - low) * distance.argmin(-1) / 255
