"""Pictures under the names that MLflow's image grid reads."""

from __future__ import annotations

import io
import uuid

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mlrun.record.events import Event

THUMBNAIL = 256  # pixels: the side of the small copy that MLflow shows in a grid


def grid_events(
    run_id: str, key: str, image: NDArray[np.uint8], step: int, started: int
) -> list[Event]:
    """Returns the events of one picture in MLflow's image grid, and of its small copy.

    The names are made from run, key and step alone, so that a picture that is drawn or sent
    again replaces the first (MLflow's own `log_image` would add a second one).

    Args:
        run_id: the run.
        key: the picture's key; one slider a key.
        image: uint8 (H, W, 3).
        step: the epoch.
        started: when the run started, milliseconds since 1970.
    """
    fixed = uuid.uuid5(uuid.NAMESPACE_OID, f"{run_id}/{key}/{step}")
    name = f"images/{key.replace('/', '~')}+step+{step}+timestamp+{started + step}+{fixed}"
    small = Image.fromarray(image)
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    return [
        Event("artifact", f"{name}.png", encode(image, "PNG")),
        Event("artifact", f"{name}+compressed.webp", encode(np.asarray(small), "WEBP")),
        Event("tag", "mlflow.loggedImages", "True"),
    ]


def figure_event(name: str, image: NDArray[np.uint8]) -> Event:
    """Returns the event of a final figure, `figures/<name>.png`."""
    return Event("artifact", f"figures/{name}.png", encode(image, "PNG"))


def encode(image: NDArray[np.uint8], kind: str) -> bytes:
    """Returns uint8 (H, W, 3), or (H, W, 1) for grey, as the bytes of a PNG or WebP file."""
    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(buffer, kind)
    return buffer.getvalue()
