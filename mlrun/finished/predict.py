"""Image files to classes and probabilities, with a run's best weights."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mlrun.data.decoding import (
    Decoded,
    Pixels,
    decode_with_levels,
    is_image,
    quiet_decoding,
)
from mlrun.data.image_paths import files_below, is_left_out
from mlrun.data.unread import unread_types
from mlrun.data.wide import Range
from mlrun.errors import MlrunError
from mlrun.machine.helpers import Helpers
from mlrun.preparing.inputs import evaluated_at_once
from mlrun.preparing.weights import Restored
from mlrun.seam.files import fault_of_file

LOG = logging.getLogger("mlrun.data")
AT_ONCE = 8  # files that are read side by side


@dataclass(frozen=True)
class Prediction:
    """The class probabilities that a run predicts for one file.

    probabilities: of each class, in the run's order; the softmax of the logits.
    """

    path: Path
    probabilities: list[float]

    def top(self, count: int) -> list[int]:
        """Returns the `count` most probable classes by number, the first of equals first."""
        order = sorted(range(len(self.probabilities)), key=lambda k: -self.probabilities[k])
        return order[:count]


def find_images(paths: Sequence[Path], *, unreadable: Callable[[str], None]) -> list[Path]:
    """Returns the files, and in place of each folder the images under it, by name.

    In a folder, a file is an image if its suffix is that of one; links are followed, hidden
    files and those of systems are left out. `unreadable` is called with a line about images of a
    type that cannot be read.

    Raises:
        MlrunError: a path is no file that can be read, or a folder holds no image.
    """
    images: list[Path] = []
    for path in paths:
        if fault := fault_of_file(path, folder=True):
            raise MlrunError(f"{path}: {fault}")
        if not path.is_dir():
            images.append(path)
            continue
        files = sorted(p for p in files_below(path) if not is_left_out(p.name))
        inside = [file for file in files if is_image(file)]
        unread = unread_types(file for file in files if not is_image(file))
        if not inside:
            but = f" that can be read, but {unread}" if unread else ""
            raise MlrunError(f"folder {path}: there is no image file in it{but}")
        if unread:
            unreadable(f"folder {path}: left out: {unread}")
        images += inside
    return images


def predict(
    restored: Restored, paths: Sequence[Path], *, unreadable: Callable[[str], None]
) -> Iterator[Prediction]:
    """Yields a prediction for each file that can be read, in their order, batch by batch.

    Args:
        restored: a run's model with its best weights.
        paths: image files of any size; see `mlrun.data.decoding` for how they become pixels.
        unreadable: called with one line for each file that cannot be read.

    Raises:
        MlrunError: the run's images are neither grey nor RGB.
    """
    channels, height, width = restored.weights.shape
    if channels not in (1, 3):
        raise MlrunError(
            f"run {restored.run.run_id} takes images of {channels} channels; files give 1 or 3"
        )
    value_range = restored.weights.value_range
    read = partial(read_image, channels=channels, size=(height, width), value_range=value_range)
    batch_size = evaluated_at_once(restored.weights.shape)
    other: list[Path] = []
    with quiet_decoding(), Helpers(AT_ONCE, "mlrun-decode") as pool:
        for start in range(0, len(paths), batch_size):
            batch = paths[start : start + batch_size]
            readable, images = [], []
            for path, decoded in zip(batch, pool.map(read, batch), strict=True):
                if isinstance(decoded, str):
                    unreadable(decoded)
                    continue
                readable.append(path)
                images.append(decoded.pixels)
                if (decoded.levels is None) != (value_range is None):
                    other.append(path)
            if images:
                rows = probabilities(restored, np.stack(images)).tolist()
                yield from map(Prediction, readable, rows)
    if other:
        LOG.warning("%s", about_depth(restored, other, len(paths)))


def about_depth(restored: Restored, other: Sequence[Path], count: int) -> str:
    """Returns a line about files whose values have not the depth of those trained on."""
    run, value_range = restored.run.run_id, restored.weights.value_range
    start = f"{len(other):,} of {count:,} files, the first {other[0]}, have"
    if value_range is None:
        return (
            f"{start} more than 8 bits, run {run} was trained on images of 8: whole numbers are "
            "taken as 0 to 65535, floats as 0 to 1 or 0 to 255, image by image"
        )
    low, high = value_range
    return (
        f"{start} 8 bits and are taken as they are; in the images of run {run}, {low:.9g} to "
        f"{high:.9g} became 0 to 255, so what it says of these files may mean nothing"
    )


def read_image(
    path: Path, *, channels: int, size: tuple[int, int], value_range: Range | None
) -> Decoded | str:
    """Returns what a file decodes to, or on one line why it cannot be read."""
    try:
        return decode_with_levels(
            path, channels=1 if channels == 1 else 3, size=size, value_range=value_range
        )
    except MlrunError as error:
        return str(error)


def probabilities(restored: Restored, images: Pixels) -> Tensor:
    """Returns the softmax of the logits of raw images (N, C, H, W): float32 (N, K), on the CPU."""
    with torch.inference_mode(), restored.precision.autocast():
        raw = torch.from_numpy(images).to(restored.device)
        logits: Tensor = restored.model(restored.normalisation(raw))
        return logits.float().softmax(1).cpu()
