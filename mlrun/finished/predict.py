"""Image files to classes and probabilities, with a run's best weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mlrun.data.decoding import Pixels, decode, is_image, quiet_decoding
from mlrun.data.image_paths import files_below, is_left_out
from mlrun.errors import MlrunError
from mlrun.preparing.inputs import evaluated_at_once
from mlrun.preparing.weights import Restored
from mlrun.seam.files import fault_of_file


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


def find_images(paths: Sequence[Path]) -> list[Path]:
    """Returns the files, and in place of each folder the images under it, by name.

    In a folder, a file is an image if its suffix is that of one; links are followed, hidden
    files and those of systems are left out.

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
        files = files_below(path)
        inside = sorted(p for p in files if is_image(p) and not is_left_out(p.name))
        if not inside:
            raise MlrunError(f"folder {path}: there is no image file in it")
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
    read = partial(read_image, channels=channels, size=(height, width))
    batch_size = evaluated_at_once(restored.weights.shape)
    with quiet_decoding(), ThreadPoolExecutor() as pool:
        for start in range(0, len(paths), batch_size):
            batch = paths[start : start + batch_size]
            readable, images = [], []
            for path, pixels in zip(batch, pool.map(read, batch), strict=True):
                if isinstance(pixels, str):
                    unreadable(pixels)
                else:
                    readable.append(path)
                    images.append(pixels)
            if images:
                rows = probabilities(restored, np.stack(images)).tolist()
                yield from map(Prediction, readable, rows)


def read_image(path: Path, *, channels: int, size: tuple[int, int]) -> Pixels | str:
    """Returns the pixels of a file, or on one line why there are none."""
    try:
        return decode(path, channels=1 if channels == 1 else 3, size=size)
    except MlrunError as error:
        return str(error)


def probabilities(restored: Restored, images: Pixels) -> Tensor:
    """Returns the softmax of the logits of raw images (N, C, H, W): float32 (N, K), on the CPU."""
    with torch.inference_mode(), restored.precision.autocast():
        raw = torch.from_numpy(images).to(restored.device)
        logits: Tensor = restored.model(restored.normalisation(raw))
        return logits.float().softmax(1).cpu()
