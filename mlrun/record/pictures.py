"""Pictures as artifacts, under the names that MLflow's image grid reads."""

from __future__ import annotations

import io
import re
import uuid
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mlrun.record.events import Event

THUMBNAIL = 420  # pixels: of the copy that MLflow shows in a grid at its own size; its own has 256
ORDER_TAG = "mlrun.pictures"  # the keys of a run's grid in the order drawn, with commas between
PNG_END, SMALL_END = ".png", "+compressed.webp"


def grid_stem(run_id: str, key: str, step: int, started: int) -> str:
    """Returns the path of a picture in MLflow's image grid, without the suffix of its files.

    It is made from run, key and step alone, so that a picture that is drawn or sent again
    replaces the first (MLflow's own `log_image` would add a second one).

    Args:
        run_id: the run.
        key: the picture's key; one slider a key.
        step: the epoch.
        started: when the run started, milliseconds since 1970.
    """
    digest = uuid.uuid5(uuid.NAMESPACE_OID, f"{run_id}/{key}/{step}")
    return f"images/{key.replace('/', '~')}+step+{step}+timestamp+{started + step}+{digest}"


def grid_events(stem: str, png: bytes | Path, small: bytes | Path) -> list[Event]:
    """Returns the events of one picture in MLflow's image grid, and of its small copy.

    Args:
        stem: of `grid_stem`.
        png: the picture, as a PNG.
        small: a WebP of at most `THUMBNAIL` pixels, which the grid shows.
    """
    return [
        Event("artifact", f"{stem}{PNG_END}", png),
        Event("artifact", f"{stem}{SMALL_END}", small),
        Event("tag", "mlflow.loggedImages", "True"),
    ]


def key_and_step(name: str) -> tuple[str, int] | None:
    """Returns the key and the epoch of a picture in MLflow's image grid; None of any other file.

    Args:
        name: of a file in `images/`, as `grid_events` or MLflow's `log_image` makes it. That of
            a small copy, which ends in `.webp`, is another file.
    """
    match = re.fullmatch(r"(.+)[+]step[+](\d+)[+]timestamp[+]\d+[+][^+]+\.png", name)
    return None if match is None else (match[1].replace("~", "/"), int(match[2]))


def figure_event(name: str, png: bytes | Path) -> Event:
    """Returns the event of a final figure, `figures/<name>.png`."""
    return Event("artifact", f"figures/{name}.png", png)


def thumbnail(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns a copy of the image with at most `THUMBNAIL` pixels on each side, uint8 (H, W, 3)."""
    small = Image.fromarray(image)
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    return np.asarray(small)


def encode(image: NDArray[np.uint8], kind: str) -> bytes:
    """Returns uint8 (H, W, 3), or (H, W, 1) for grey, as the bytes of a PNG or WebP file."""
    buffer = io.BytesIO()
    options = {"method": 1} if kind == "WEBP" else {}  # twice as fast, a fifth larger
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(buffer, kind, **options)
    return buffer.getvalue()
