"""Folds: the training images dealt out, so that each is validated on once."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from mlrun.errors import MlrunError
from mlrun.machine.randomness import generator

FOLD = re.compile(r"fold:(\d+)/(\d+)")  # as the setting `validation` has it: number, of how many


def is_fold(validation: str | float) -> bool:
    """Whether what is validated on is a fold."""
    return isinstance(validation, str) and FOLD.fullmatch(validation) is not None


def in_fold(labels: Tensor, validation: str, seed: int, *, stratify: bool) -> Tensor:
    """Returns which images are in a fold, bool (N,).

    With one seed, every image is in exactly one of the folds.

    Args:
        labels: int64 (N,), of the images.
        validation: the fold, `fold:2/5`.
        seed: the run's.
        stratify: whether each class is dealt out evenly.

    Raises:
        MlrunError: there are fewer images, or fewer of a class, than folds.
    """
    found = FOLD.fullmatch(validation)
    assert found is not None
    number, folds = int(found[1]), int(found[2])
    if len(labels) < folds:
        raise MlrunError(f"{folds} folds: there are only {len(labels)} images to train on")
    if stratify:
        check_rarest(labels, folds)
    return dealt_out(labels, folds, generator(seed, "folds"), stratify=stratify) == number - 1


def check_rarest(labels: Tensor, folds: int) -> None:
    """Raises MlrunError where a class has fewer images than there are folds."""
    classes, counts = labels.unique(return_counts=True)
    rarest = int(counts.argmin())
    count = int(counts[rarest])
    if count < folds:
        raise MlrunError(
            f"{folds} folds: class {int(classes[rarest])} has {count} training "
            f"image{'' if count == 1 else 's'}, and each fold is to have one; take fewer folds, or "
            "add --stratify false"
        )


def dealt_out(labels: Tensor, folds: int, numbers: torch.Generator, *, stratify: bool) -> Tensor:
    """Returns the fold of each image, int64 (N,), 0 to folds - 1: at random, and evenly.

    The sizes of two folds differ by one at most, and with `stratify` so do those of each class in
    them. No data set says which images belong together: for one that does, it is those groups that
    would be dealt out here.
    """
    order = torch.randperm(len(labels), generator=numbers)
    if stratify:
        order = order[labels[order].argsort(stable=True)]  # class by class, in the drawn order
    fold = torch.empty_like(order)
    fold[order] = torch.arange(len(labels)) % folds
    return fold
