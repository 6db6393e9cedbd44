"""Texts of a picture: how wide they are, shortened, and written where they belong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache, lru_cache

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

DPI = 100
TOP, SIDE = 48, 12  # pixels: for the title, at the edges
NARROWEST = 380  # pixels: of a figure
NARROW = 3  # pixels: about the narrowest letter
TITLE, FONT = 9, 8  # points
LINE = 14  # pixels: the height of a line of text


def shape_text(shape: Sequence[int]) -> str:
    """Returns a shape as titles write it: `6 × 24 × 24`."""
    return " × ".join(map(str, shape))


def text_width(text: str, size: int) -> float:
    """Returns how many pixels wide a line of text of `size` points is."""
    return float(measure().get_text_width_height_descent(text, FontProperties(size=size), False)[0])


@cache
def measure() -> RendererAgg:
    """Returns the renderer of the figures, to measure texts with."""
    return RendererAgg(1, 1, DPI)


def title_width(title: str) -> int:
    """Returns how many pixels wide a figure must be for its title."""
    widest = max(text_width(line, TITLE) for line in title.split("\n"))
    return max(NARROWEST, math.ceil(widest) + 2 * SIDE)


@lru_cache
def shortened(text: str, width: float) -> str:
    """Returns a line of text that is at most `width` pixels wide in a caption.

    What is too much is cut from the middle: names often start alike.
    """
    whole = " ".join(text.split())
    text = whole
    for count in range(min(len(whole) - 1, int(width) // NARROW), 1, -1):
        if text_width(text, FONT) <= width:
            break
        text = f"{whole[: count - count // 2]}…{whole[len(whole) - count // 2 :]}"
    return text


def slanted(names: Sequence[str]) -> bool:
    """Whether names are too long to stand side by side."""
    return max(map(len, names), default=0) > 3


def blank_figure(width: float, height: float) -> Figure:
    """Returns an empty figure of so many pixels."""
    return Figure(figsize=(width / DPI, height / DPI), dpi=DPI)


def size_of(figure: Figure) -> tuple[float, float]:
    """Returns the width and height of a figure in pixels."""
    width, height = figure.get_size_inches() * DPI
    return width, height


def write_title(figure: Figure, title: str) -> None:
    """Writes a title into the upper left corner."""
    width, height = size_of(figure)
    figure.text(SIDE / width, 1 - 8 / height, title, va="top", fontsize=TITLE, parse_math=False)


def write_on(figure: Figure, text: str, left: float, top: float, *, size: int) -> None:
    """Writes a text of `size` points whose upper left corner is at a pixel of the canvas."""
    width, height = size_of(figure)
    x, y = (SIDE + left) / width, 1 - (TOP + SIDE + top) / height
    figure.text(x, y, text, va="top", fontsize=size, linespacing=1.2, parse_math=False)


def write_below(axes: Axes, names: Sequence[str], *, size: float | None = None) -> None:
    """Writes the names of the classes, from 0, below an axis, long ones slanted.

    `size` is in points; None is matplotlib's own.
    """
    slant = slanted(names)
    axes.set_xticks(
        range(len(names)),
        names,
        rotation=45 if slant else 0,
        ha="right" if slant else "center",
        rotation_mode="anchor" if slant else "default",
        fontsize=size,
        parse_math=False,
    )
