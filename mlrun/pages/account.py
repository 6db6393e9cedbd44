"""What a page tells of a run, whether it has just ended or is read back from MLflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlrun.record.tables import Table


@dataclass(frozen=True, eq=False)
class Tested:
    """What a run's best weights say of the part that counts.

    part: `test`, or `val` where there is no test part.
    what: the part, the data set and its digest: equal texts mean the same images.
    logits: float32 (N, K), not softmaxed.
    labels: int64 (N,).
    indices: int64 (N,), each image's place in the data set's own part.
    """

    part: str
    what: str
    logits: NDArray[np.float32]
    labels: NDArray[np.int64]
    indices: NDArray[np.int64]

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """The class with the highest logit, (N,)."""
        return np.asarray(self.logits.argmax(1))

    @cached_property
    def chances(self) -> NDArray[np.float32]:
        """The logits softmaxed, (N, K): rows that sum to 1."""
        powers = np.exp(self.logits - self.logits.max(1, keepdims=True))
        return np.asarray(powers / powers.sum(1, keepdims=True))

    @cached_property
    def losses(self) -> NDArray[np.float64]:
        """The cross-entropy of each image, (N,): how far its label was from being predicted."""
        highest = self.logits.max(1)
        total = np.log(np.exp(self.logits - highest[:, None]).sum(1, dtype=np.float64))
        return np.asarray(total + highest - self.logits[np.arange(len(highest)), self.labels])


@dataclass(frozen=True, eq=False)
class Thumbnails:
    """Small copies of the tested images that a page opens.

    places: int64 (M,), of each in `Tested.labels`, ascending.
    images: uint8 (M, C, h, w), 0–255.
    """

    places: NDArray[np.int64]
    images: NDArray[np.uint8]


@dataclass(frozen=True)
class Account:
    """What a page tells of one run.

    name, link: as MLflow shows it, and the address of its page there.
    status: `FINISHED`, `FAILED`, `KILLED` or `RUNNING`.
    started: milliseconds since 1970. seconds: how long it took; None if that is not known.
    best_epoch: of the weights that were tested; None where there are none.
    params, tags: as they are in MLflow.
    history: (epoch, value) pairs of each metric; those by optimiser step stand under `step/`.
    classes: the name of each class; empty if they are not known.
    tested: None where nothing was tested.
    thumbnails: of tested images; None where there are none.
    pictures: PNG files of what stands under a slider, by key and epoch.
    figures: PNG files of the end, by name.
    tables: of the end, by name, but for those with images.
    failures: what went wrong without stopping the run, by what was lost.
    defaults: of the params, where they are known: those that differ are told first.
    """

    run_id: str
    name: str
    link: str
    status: str
    started: int
    seconds: float | None
    best_epoch: int | None
    params: Mapping[str, str]
    tags: Mapping[str, str]
    history: Mapping[str, Sequence[tuple[int, float]]]
    classes: tuple[str, ...] = ()
    tested: Tested | None = None
    thumbnails: Thumbnails | None = None
    pictures: Mapping[str, Mapping[int, Path]] = field(default_factory=dict)
    figures: Mapping[str, Path] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
