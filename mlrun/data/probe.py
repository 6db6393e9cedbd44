"""The probe: one image that visualisers use in place of the data set's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch

from mlrun.data.decoding import Pixels, colours, decode, pixels_of, quiet_decoding
from mlrun.data.wide import Range
from mlrun.errors import MlrunError, legible
from mlrun.seam.files import at_home, fault_of_file
from mlrun.settings.values import PHOTOGRAPHS

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Probe:
    """One image of its own size.

    name: `china`, `flower` or the file's name.
    image: uint8 (1, C, H, W), 0–255, on the CPU; C is that of the data set.
    """

    name: str
    image: Tensor


def load_probe(probe: str, channels: int, value_range: Range | None = None) -> Probe:
    """Returns a photograph of scikit-learn's by name, or any image file, in its own size.

    Args:
        probe: `china`, `flower` or the path of a file.
        channels: those of the data set: 1 makes it grey, 3 makes it RGB.
        value_range: that of the data set, for a file of more than 8 bits.

    Raises:
        MlrunError: there is no such file, it cannot be read, or the data set has other channels.
    """
    if channels not in (1, 3):
        raise MlrunError(
            f"probe {probe}: an image gives 1 or 3 channels, those of the data set have "
            f"{channels}; leave probe out"
        )
    mode: Literal[1, 3] = 1 if channels == 1 else 3
    if probe in PHOTOGRAPHS:
        name, pixels = probe, photograph(probe, mode)
    else:
        path = existing_file(probe)
        try:
            with quiet_decoding():
                pixels = decode(path, channels=mode, value_range=value_range)
            name = legible(path.name)
        except MlrunError as error:
            raise MlrunError(f"probe: {error}") from error
    return Probe(name, torch.tensor(pixels)[None])  # a copy: some pixels are read-only


def existing_file(probe: str) -> Path:
    """Returns the path of the file `probe`; raises MlrunError where there is none."""
    expected = f"expected {', '.join(PHOTOGRAPHS)} or an image file"
    path = at_home(probe)
    if fault := fault_of_file(path):
        raise MlrunError(f"probe {probe}: {fault}; {expected}")
    return path


def photograph(name: str, channels: Literal[1, 3]) -> Pixels:
    """Returns scikit-learn's photograph of that name, uint8 (C, 427, 640)."""
    from PIL import Image
    from sklearn.datasets import load_sample_image

    image = Image.fromarray(load_sample_image(f"{name}.jpg"))
    return pixels_of(colours(image, channels))
