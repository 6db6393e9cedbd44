"""Renders figures and pixels as image files, in this process or in a worker."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mlrun.record.pictures import encode, thumbnail

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Rendered:
    """A picture as files: a PNG, and the small WebP copy that MLflow's image grid shows."""

    png: bytes
    small: bytes


def packed(image: Figure | Pixels) -> bytes:
    """Returns a picture in its present state as bytes, to be rendered later by any process.

    A figure that cannot be pickled is rendered at once.
    """
    if isinstance(image, Figure):
        try:
            return pickle.dumps((changed_settings(), image), protocol=pickle.HIGHEST_PROTOCOL)
        except Exception:  # a formatter that is a lambda, an artist with an open file, …
            image = pixels(image)
    return pickle.dumps(({}, image), protocol=pickle.HIGHEST_PROTOCOL)


def unpacked(content: bytes) -> Pixels:
    """Returns the picture that `packed` packed, uint8 (H, W, 3); raises what drawing raises."""
    settings, image = pickle.loads(content)
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        ignore_missing_glyphs()
        return pixels(image) if isinstance(image, Figure) else image


def render(content: bytes) -> Rendered:
    """Returns the picture that `packed` packed as files; raises what drawing raises."""
    image = unpacked(content)
    return Rendered(encode(image, "PNG"), encode(thumbnail(image), "WEBP"))


def pixels(figure: Figure) -> Pixels:
    """Returns a figure as drawn, uint8 (H, W, 3)."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def ignore_missing_glyphs() -> None:
    """Hides matplotlib's warnings about characters that its font lacks; they are drawn as boxes."""
    warnings.filterwarnings("ignore", "Glyph .* missing from font")


def changed_settings() -> Mapping[str, Any]:
    """Returns those of matplotlib's settings that are not its defaults, but for the backend."""
    defaults = matplotlib.rcParamsDefault
    return {
        name: value
        for name, value in matplotlib.rcParams.items()
        if not name.startswith("backend") and defaults.get(name) != value
    }
