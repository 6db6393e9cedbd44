"""Predictions of a model for one part, as NumPy arrays; imports no torch."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mlrun.errors import MlrunError


@dataclass(frozen=True, eq=False)
class Predictions:
    """The logits of one part, and the predictions computed from them.

    part: `train`, `val`, `test`, or the name of a variant: `test-rotated-25`.
    logits: float32 (N, K), not softmaxed.
    labels: int64 (N,).
    indices: int64 (N,), each image's place in the data set's own part.
    """

    ARRAYS: ClassVar = ("logits", "labels", "indices")  # of the archive

    part: str
    logits: NDArray[np.float32]
    labels: NDArray[np.int64]
    indices: NDArray[np.int64]

    @classmethod
    def of_archive(cls, part: str, arrays: Mapping[str, NDArray[Any]]) -> Predictions:
        """Returns the predictions whose archive has the content `arrays`.

        Args:
            part: that they are for.
            arrays: those of `ARRAYS` by name.

        Raises:
            MlrunError: an array has another shape or type, or a label is no class.
        """
        logits, labels, indices = (arrays[name] for name in cls.ARRAYS)
        if logits.ndim != 2 or logits.dtype.kind != "f" or not logits.shape[1]:
            raise MlrunError(f"logits is {kind(logits)}; expected float32 (N, K)")
        for name, numbers in (("labels", labels), ("indices", indices)):
            if numbers.shape != logits.shape[:1] or numbers.dtype.kind not in "iu":
                raise MlrunError(f"{name} is {kind(numbers)}; expected int64 ({len(logits)},)")
        if len(labels) and not 0 <= labels.min() <= labels.max() < logits.shape[1]:
            ends = f"{labels.min()} to {labels.max()}"
            raise MlrunError(f"labels are {ends}; expected 0 to {logits.shape[1] - 1}")
        whole = (numbers.astype(np.int64) for numbers in (labels, indices))
        return cls(part, logits.astype(np.float32), *whole)

    def archive(self) -> bytes:
        """Returns `logits`, `labels` and `indices` as a compressed `.npz`."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, logits=self.logits, labels=self.labels, indices=self.indices)
        return buffer.getvalue()

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """The class with the highest logit, int64 (N,)."""
        return np.asarray(self.logits.argmax(1))

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """Whether the predicted class is the label, (N,)."""
        return np.asarray(self.predicted == self.labels)

    @property
    def accuracy(self) -> float:
        """The fraction of right predictions, 0–1; N is at least 1."""
        return float(self.right.mean())

    @cached_property
    def probabilities(self) -> NDArray[np.float32]:
        """The logits softmaxed, float32 (N, K): rows that sum to 1."""
        with np.errstate(invalid="ignore"):  # of logits that are not finite
            powers = np.exp(self.logits - self.logits.max(1, keepdims=True))
            return np.asarray(powers / powers.sum(1, keepdims=True))

    @cached_property
    def confidence(self) -> NDArray[np.float32]:
        """The probability of the predicted class, float32 (N,)."""
        return np.asarray(self.probabilities.max(1))

    @cached_property
    def losses(self) -> NDArray[np.float64]:
        """The cross-entropy of each image, float64 (N,)."""
        highest = self.logits.max(1)
        with np.errstate(invalid="ignore"):  # of logits that are not finite
            total = np.log(np.exp(self.logits - highest[:, None]).sum(1, dtype=np.float64))
            return np.asarray(total + highest - self.logits[np.arange(len(highest)), self.labels])

    @property
    def confusion(self) -> NDArray[np.int64]:
        """Images of class i predicted as class j: int64 (K, K), rows true, columns predicted."""
        classes = self.logits.shape[1]
        cells = self.labels * classes + self.predicted
        return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def kind(array: NDArray[Any]) -> str:
    """Returns an array's type and shape in words.

    >>> kind(np.zeros((2, 3), np.float32))
    'float32 (2, 3)'
    """
    return f"{array.dtype} {array.shape}"
