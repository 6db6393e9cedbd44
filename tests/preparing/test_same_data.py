"""Processes that train together are told where one of them has other data."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import pytest
import torch

from mlrun import ImageData, MlrunError, Part
from mlrun.data.splits import split
from mlrun.machine.group import Group
from mlrun.machine.place import Place
from mlrun.preparing.same_data import check_same_data, sample_of

T = TypeVar("T")


class Two(Group):
    """Rank 0 of two processes, the other of which has the data that are given."""

    def __init__(self, other: object) -> None:
        super().__init__(Place(0, 2))
        self.other = other

    def gather(self, value: T) -> list[T]:
        return [value, self.other]  # type: ignore[list-item]  # it is of that type here


def data(seed: int = 0, count: int = 40) -> ImageData:
    source = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, 1, 4, 4), dtype=torch.uint8, generator=source)
    return ImageData(Part(images, torch.arange(count) % 2), ("cat", "dog"))


def compare(ours: ImageData, theirs: ImageData) -> None:
    """Compares the data of rank 0 with those of rank 1."""
    parts = [split(each, validation=0.25, subset="all", seed=0) for each in (ours, theirs)]
    check_same_data(ours, parts[0], Two(sample_of(theirs, parts[1])))


def test_the_same_data_pass() -> None:
    compare(data(), data())
    parts = split(data(), validation=0.25, subset="all", seed=0)
    assert sample_of(data(), parts)["train images"] == "30"


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (data(count=44), "rank 1 has other data than rank 0: train images: 33, and 30 on rank 0"),
        (data(seed=1), "some images of train: sum"),
        (replace(data(), classes=("dog", "cat")), "classes: dog, cat, and cat, dog on rank 0"),
        (
            replace(data(), train=Part(data().train.images, 1 - data().train.labels)),
            "labels of train: sum",
        ),
    ],
)
def test_other_data_are_refused_by_what_differs(other: ImageData, message: str) -> None:
    with pytest.raises(MlrunError, match="expected the same on every host") as caught:
        compare(data(), other)
    assert message in str(caught.value)
