"""Folds: every image is in one of them, and each class is dealt out evenly."""

from __future__ import annotations

import pytest
import torch

from mlrun.data.folds import in_fold
from mlrun.data.images import ImageData, Part
from mlrun.data.splits import split
from mlrun.errors import MlrunError


def folds_of(
    labels: torch.Tensor, count: int, seed: int = 0, *, stratify: bool = True
) -> torch.Tensor:
    """Which images are in which fold, bool (folds, N)."""
    names = [f"fold:{number}/{count}" for number in range(1, count + 1)]
    return torch.stack([in_fold(labels, name, seed, stratify=stratify) for name in names])


@pytest.mark.parametrize("stratify", [True, False])
@pytest.mark.parametrize("count", [2, 3, 7])
def test_every_image_is_in_exactly_one_fold_and_folds_are_alike(count: int, stratify: bool) -> None:
    labels = torch.tensor([0] * 20 + [1] * 11 + [2] * 8)
    folds = folds_of(labels, count, stratify=stratify)
    assert (folds.sum(0) == 1).all()
    sizes = folds.sum(1)
    assert sizes.max() - sizes.min() <= 1
    if stratify:
        for label in range(3):
            of_class = folds[:, labels == label].sum(1)
            assert of_class.max() - of_class.min() <= 1
            assert of_class.min() >= 1


def test_the_seed_decides_the_folds() -> None:
    labels = torch.arange(60) % 3
    assert (folds_of(labels, 3) == folds_of(labels, 3)).all()
    assert not (folds_of(labels, 3) == folds_of(labels, 3, seed=1)).all()


def test_more_folds_than_a_class_has_images_are_refused() -> None:
    labels = torch.tensor([0] * 9 + [4] * 2)
    with pytest.raises(MlrunError, match=r"3 folds: class 4 has 2 training images, and each fold"):
        folds_of(labels, 3)
    assert (folds_of(labels, 3, stratify=False).sum(0) == 1).all()
    with pytest.raises(MlrunError, match="12 folds: there are only 11 images"):
        folds_of(labels, 12, stratify=False)


def test_a_run_trains_on_the_images_that_it_does_not_validate_on() -> None:
    labels = torch.arange(40) % 2
    data = ImageData(Part(torch.zeros(40, 1, 2, 2, dtype=torch.uint8), labels), ("a", "b"))
    held = []
    for number in (1, 2, 3):
        parts = split(data, validation=f"fold:{number}/3", subset="random:30", seed=5)
        both = torch.cat([parts["train"].indices, parts["val"].indices])
        assert len(both.unique()) == len(both) == 30
        held.append(parts["val"].indices)
    assert len(torch.cat(held).unique()) == 30
