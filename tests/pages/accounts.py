"""Accounts of runs that were never made, for the tests of the comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mlrun.pages.account import Account, Thumbnails
from mlrun.training.predictions import Predictions

PARAMS = {"model": "mlp", "dataset": "digits", "lr": "0.1", "seed": "0", "run_name": "none"}


def result(right: np.ndarray) -> Predictions:
    """Of images whose label is their place modulo 4; a wrong one is taken for the next class."""
    classes = 4
    labels = np.arange(len(right)) % classes
    predicted = np.where(right, labels, (labels + 1) % classes)
    logits = np.zeros((len(right), classes), np.float32)
    logits[np.arange(len(right)), predicted] = 1 + np.arange(len(right)) / len(right)
    return Predictions("test", logits, labels, np.arange(len(right)) + 100)


def thumbnails(places: Sequence[int]) -> Thumbnails:
    images = np.zeros((len(places), 1, 4, 4), np.uint8)
    images[:] = np.asarray(places, np.uint8)[:, None, None, None]
    return Thumbnails(np.asarray(places), images)


def account(
    number: int,
    params: Mapping[str, str] | None = None,
    *,
    history: Mapping[str, Sequence[tuple[int, float]]] | None = None,
    predictions: Predictions | None = None,
    evaluated_on: str = "test of digits (digest 1)",
    thumbnails: Thumbnails | None = None,
    pictures: Mapping[str, Mapping[int, Path]] | None = None,
    name: str = "",
) -> Account:
    """The run of that number, whose params are `PARAMS` but for those given."""
    return Account(
        run_id=f"{number:08x}{'0' * 24}",
        name=name or f"run {number}",
        link=f"http://127.0.0.1:5000/#/experiments/0/runs/{number}",
        status="FINISHED",
        started=1_700_000_000_000,
        seconds=12.5,
        best_epoch=1,
        params={**PARAMS, **(params or {})},
        tags={},
        history=history or {"val/accuracy": [(0, 0.1), (1, 0.5)], "val/loss": [(0, 2.0), (1, 1.0)]},
        predictions=predictions,
        evaluated_on=evaluated_on,
        thumbnails=thumbnails,
        pictures=pictures or {},
    )
