"""ImageData: what a data-set plugin hands over."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, NamedTuple

from mlrun.errors import MlrunError, kind_of, legible

if TYPE_CHECKING:
    from torch import Tensor


class Part(NamedTuple):
    """One part of a data set.

    images: uint8 (N, C, H, W), 0–255, on the CPU; may be memory-mapped.
    labels: int64 (N,), 0 to K-1, on the CPU.
    """

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class ImageData:
    """A data set of images with labels.

    Args:
        train: the part to train on.
        classes: the name of each class; K of them. Control characters, and bytes of a folder's
            name that are no UTF-8, become escapes: `\\n`, `\\xff`.
        validation, test: parts that the data set brings along, if any.
        source: where the data are from: a title or address.
        licence: the licence they are under.
        mean, std: the published mean and standard deviation of each channel, pixels as 0–1.
        value_range: the values of the files that became 0 and 255, where they have more than 8
            bits. It is kept with the weights: `mlrun predict` reads files by it, and `mlrun
            evaluate` hands it to a data set that has an option `range`.
    """

    train: Part
    classes: tuple[str, ...]
    validation: Part | None = None
    test: Part | None = None
    source: str = ""
    licence: str = ""
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    value_range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        for name in ("train", "validation", "test"):
            part = getattr(self, name)
            if isinstance(part, tuple | list) and len(part) == 2:
                object.__setattr__(self, name, Part(*part))
        if is_names(self.classes):
            object.__setattr__(self, "classes", tuple(map(legible, self.classes)))

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of one image, (C, H, W)."""
        channels, height, width = self.train.images.shape[1:]
        return int(channels), int(height), int(width)

    @property
    def parts(self) -> dict[str, Part]:
        """The parts there are, by name: `train`, then `validation` and `test` if present."""
        named = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: part for name, part in named.items() if part is not None}

    def check(self) -> None:
        """Raises MlrunError where the parts break the contract of their docstrings."""
        self.check_description()
        for name, part in {"train": self.train, **self.parts}.items():
            check_part(name, part, len(self.classes))
            if tuple(part.images.shape[1:]) != tuple(self.train.images.shape[1:]):
                raise MlrunError(
                    f"{name} images are {tuple(part.images.shape[1:])}, "
                    f"training images {tuple(self.train.images.shape[1:])}; they must be alike"
                )
        for figure in (self.mean, self.std):
            if figure is not None and len(figure) != self.shape[0]:
                raise MlrunError(
                    f"mean and std have {len(figure)} values for {self.shape[0]} channels"
                )

    def check_description(self) -> None:
        """Raises MlrunError unless classes, mean and std are what their docstrings say."""
        classes = self.classes
        if not is_names(classes):
            raise MlrunError(
                f"classes are {classes!r}; expected a tuple with the name of each class"
            )
        if len(set(classes)) != len(classes):
            raise MlrunError(f"classes are {classes!r}; expected a different name for each class")
        if len(classes) < 2:
            raise MlrunError(f"classes are {classes!r}; expected the names of at least two")
        for name, figure in (("mean", self.mean), ("std", self.std)):
            if figure is None:
                continue
            if not isinstance(figure, tuple | list) or not all(
                isinstance(v, Real) and 0 <= float(v) <= 1 for v in figure
            ):
                raise MlrunError(
                    f"{name} is {figure!r}; expected a tuple with a value from 0 to 1 for each "
                    "channel, pixels as 0–1"
                )
        if self.value_range is not None and not is_range(self.value_range):
            raise MlrunError(
                f"value_range is {self.value_range!r}; expected two numbers, the lower first, or "
                "None"
            )
        if self.std is not None and 0 in self.std:
            raise MlrunError(f"std is {self.std!r}; expected values above 0")
        for name, text in (("source", self.source), ("licence", self.licence)):
            if not isinstance(text, str):
                raise MlrunError(f"{name} is {kind_of(text)}; expected a text")


def is_range(value: object) -> bool:
    """Whether a value is two finite numbers, the lower first."""
    if not isinstance(value, tuple | list) or len(value) != 2:
        return False
    low, high = value
    numbers = isinstance(low, Real) and isinstance(high, Real)
    return numbers and -math.inf < float(low) < float(high) < math.inf


def is_names(classes: object) -> bool:
    """Whether these are texts in a tuple or list."""
    return isinstance(classes, tuple | list) and all(isinstance(name, str) for name in classes)


def check_part(name: str, part: Part, classes: int) -> None:
    """Raises MlrunError unless `part` is uint8 (N, C, H, W) with int64 (N,) labels below K."""
    import torch

    if not isinstance(part, Part):
        raise MlrunError(f"the {name} part is {kind_of(part)}; expected Part(images, labels)")
    images, labels = part
    for content, values in (("images", images), ("labels", labels)):
        if not isinstance(values, torch.Tensor):
            raise MlrunError(f"{name} {content} are {kind_of(values)}; expected a torch tensor")
        if values.device.type != "cpu" or values.layout != torch.strided:
            raise MlrunError(
                f"{name} {content} are a {values.layout} tensor on {values.device}; expected a "
                "dense one on the CPU"
            )
    if images.dtype != torch.uint8 or images.ndim != 4 or 0 in images.shape[1:]:
        raise MlrunError(
            f"{name} images are {images.dtype} {tuple(images.shape)}; expected uint8 (N, C, H, W)"
        )
    if labels.dtype != torch.int64 or labels.ndim != 1:
        raise MlrunError(
            f"{name} labels are {labels.dtype} {tuple(labels.shape)}; expected int64 (N,)"
        )
    if len(images) != len(labels):
        raise MlrunError(
            f"the {name} part has images {tuple(images.shape)} but labels {tuple(labels.shape)}"
        )
    if len(images) == 0:
        raise MlrunError(f"the {name} part is empty; it needs at least one image")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise MlrunError(
            f"{name} labels run from {low} to {high}; with {classes} classes they must be "
            f"0 to {classes - 1}"
        )
