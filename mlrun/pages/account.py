"""The data of a page about one run, which has just ended or is read back from MLflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlrun.record.tables import Table
from mlrun.training.predictions import Predictions


@dataclass(frozen=True, eq=False)
class Thumbnails:
    """Small copies of some of the tested images, which a page shows.

    places: int64 (M,), rows of the predictions that they belong to, ascending.
    images: uint8 (M, C, h, w), 0–255.
    """

    places: NDArray[np.int64]
    images: NDArray[np.uint8]


@dataclass(frozen=True)
class Account:
    """All that a page shows of one run.

    name, link: as MLflow shows it, and the address of its page there.
    status: `FINISHED`, `FAILED`, `KILLED` or `RUNNING`; `lost` or `unsent` of one that is gone.
    started: milliseconds since 1970. seconds: how long it took; None if that is not known.
    best_epoch: of the weights that were tested; None where there are none.
    params, tags: as they are in MLflow.
    history: (epoch, value) pairs of each metric; those by optimiser step stand under `step/`.
    classes: the name of each class; empty if they are not known.
    predictions: of the best weights for the test part, or for the validation part where there
        is none; None where nothing was tested.
    evaluated_on: the part, the data set and its digest, of which the predictions are: equal
        texts mean the same images; empty where that is not known.
    thumbnails: of tested images; None where there are none.
    pictures: PNG files of the pictures under a slider, by key and epoch.
    figures: PNG files of the final figures, by name.
    tables: the final tables by name, without those that hold images.
    failures: the reason of each failure that did not stop the run, by what was lost.
    unreadable: why an artifact of the run cannot be read, by its path; the page is without it.
    defaults: of the params, where they are known: settings that differ are listed first.
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
    predictions: Predictions | None = None
    evaluated_on: str = ""
    thumbnails: Thumbnails | None = None
    pictures: Mapping[str, Mapping[int, Path]] = field(default_factory=dict)
    figures: Mapping[str, Path] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
