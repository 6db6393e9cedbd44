"""The selections of a data set that are trained on, validated on and tested on."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
from torch import Tensor

from mlrun.data.draws import draw
from mlrun.data.folds import in_fold, is_fold
from mlrun.data.images import ImageData
from mlrun.errors import MlrunError
from mlrun.machine.randomness import generator

LOG = logging.getLogger("mlrun.data")


@dataclass(frozen=True)
class Selection:
    """Some images of one part, in order.

    part: the part of the data set they are from.
    indices: int64 (M,), their places in that part.
    images, labels: the whole part's tensors, not copied.
    """

    part: str
    indices: Tensor
    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.indices)


def split(
    data: ImageData, *, validation: str | float, subset: str, seed: int, stratify: bool = True
) -> dict[str, Selection]:
    """Returns the selections `train`, `val` and, if the data set has that part, `test`.

    Args:
        data: the data set.
        validation: `own`, `test`, `auto` (its own part, else 0.1), the fraction of the
            training images that a random draw sets aside, `last:N`, the last N of them, or
            `fold:K/N`, the K-th of N folds.
        subset: `all`, `N` (the first N training images) or `random:N`; taken first.
        seed: the run's seed.
        stratify: whether a random draw takes of each class in proportion, and leaves one image
            of each to train on.

    Raises:
        MlrunError: a part that is asked for is missing, or one would be empty.
    """
    kept = take_subset(data.train.labels, subset, seed, stratify=stratify)
    own = data.validation is not None
    if validation == "auto":
        validation = "own" if own else 0.1
    if validation not in ("own", "test"):
        train, val = hold_out(kept, data.train.labels, validation, seed, stratify=stratify)
        selections = {"train": select(data, "train", train), "val": select(data, "train", val)}
    else:
        part = "validation" if validation == "own" else "test"
        if part not in data.parts:
            raise MlrunError(
                f"validation {validation}: the data set has no {part} part; it has "
                f"{', '.join(data.parts)}; give a fraction such as 0.1"
            )
        selections = {"train": select(data, "train", kept), "val": select(data, part)}
    if data.test is not None:
        selections["test"] = select(data, "test")
    return selections


def select(data: ImageData, part: str, indices: Tensor | None = None) -> Selection:
    """Returns the images of `part` at `indices`, or all of them."""
    images, labels = data.parts[part]
    return Selection(
        part, torch.arange(len(labels)) if indices is None else indices, images, labels
    )


def take_subset(labels: Tensor, subset: str, seed: int, *, stratify: bool) -> Tensor:
    """Returns the places of the training images that `subset` keeps, ascending."""
    count = len(labels)
    if subset == "all":
        return torch.arange(count)
    size = int(subset.removeprefix("random:"))
    if size > count:
        raise MlrunError(f"subset {subset}: the training part has only {count} images")
    if not subset.startswith("random:"):
        return torch.arange(size)
    numbers = generator(seed, "subset")
    if stratify:
        kept = ~draw(labels, count - size, numbers, stratify=True)
    else:
        kept = draw(labels, size, numbers, stratify=False)
    return kept.nonzero().flatten()


def hold_out(
    indices: Tensor, labels: Tensor, validation: str | float, seed: int, *, stratify: bool
) -> tuple[Tensor, Tensor]:
    """Returns the images to train on and those held out; each ascending, as `indices` is.

    Held out are the last N for `last:N`, for a fraction so many (rounded), at random, and for
    `fold:K/N` one of N parts that are as large, at random.

    Args:
        labels: of the whole part.
    """
    if isinstance(validation, str) and is_fold(validation):
        fold = in_fold(labels[indices], validation, seed, stratify=stratify)
        return indices[~fold], indices[fold]
    if isinstance(validation, str):
        held = int(validation.removeprefix("last:"))
    else:
        held = round(len(indices) * validation)
    if not 0 < held < len(indices):
        raise MlrunError(
            f"validation {validation}: of {len(indices)} training images that leaves "
            f"{max(0, len(indices) - held)} to train on and {min(held, len(indices))} to validate "
            "on; neither may be none"
        )
    if isinstance(validation, str):
        return indices[:-held], indices[-held:]
    if stratify:
        held = at_most_spare(held, labels[indices], validation)
    drawn = draw(labels[indices], held, generator(seed, "validation"), stratify=stratify)
    return indices[~drawn], indices[drawn]


def at_most_spare(held: int, labels: Tensor, validation: float) -> int:
    """Returns how many images are held out where one of each class stays in training.

    Raises:
        MlrunError: none can be.
    """
    classes = len(labels.unique())
    spare = len(labels) - classes
    if spare == 0:
        raise MlrunError(
            f"validation {validation}: each of {classes} classes has one training image, which "
            "stays in training; validate on other images, or add --stratify false"
        )
    if spare < held:
        LOG.warning(
            "validation %s: %d images are held out, not %d, so that each of %d classes keeps one "
            "to train on",
            *(validation, spare, held, classes),
        )
    return min(held, spare)
