"""Whether all processes that train together have the same data: each reads them for itself."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import torch

from mlrun.data.images import ImageData
from mlrun.data.splits import Selection
from mlrun.machine.group import Group

LOOKED_AT = 64  # images of each part, evenly spread; all of their labels

Sample = dict[str, str]


def check_same_data(data: ImageData, selections: Mapping[str, Selection], group: Group) -> None:
    """Raises MlrunError on every rank where one has other data than rank 0, as far as was looked.

    Every rank is to call it.
    """
    if group.size == 1:
        return
    first, *others = group.gather(sample_of(data, selections))
    for rank, theirs in enumerate(others, 1):
        for what in {**first, **theirs}:
            here, there = first.get(what, "not there"), theirs.get(what, "not there")
            if here != there:
                raise group.known_to_all(
                    f"{group.name(rank)} has other data than rank 0: {what}: {there}, and {here} "
                    "on rank 0; expected the same on every host"
                )


def sample_of(data: ImageData, selections: Mapping[str, Selection]) -> Sample:
    """Returns what is soon compared: shape, classes, and of each part its size and some sums."""
    sample = {"image": str(tuple(data.shape)), "classes": ", ".join(map(str, data.classes))}
    for name, selection in selections.items():
        chosen = selection.indices
        sample[f"{name} images"] = f"{len(chosen):,}"
        sample[f"labels of {name}"] = f"sum {sum_of(selection.labels[chosen])}"
        some = chosen[torch.linspace(0, len(chosen) - 1, min(LOOKED_AT, len(chosen))).long()]
        sample[f"some images of {name}"] = f"sum {sum_of(selection.images[some])}"
    return sample


def sum_of(tensor: torch.Tensor) -> str:
    """Returns a CRC-32 of a tensor's bytes, 8 hexadecimal digits."""
    return f"{zlib.crc32(tensor.contiguous().numpy().tobytes()):08x}"
