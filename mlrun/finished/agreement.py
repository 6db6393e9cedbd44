"""Whether two runs came to the same: weights, the rows of metrics, predictions."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from mlrun.finished.artifacts import Artifacts
from mlrun.finished.evaluation_request import OWN_SECTIONS
from mlrun.finished.read import read_predictions
from mlrun.record.evaluations import FOLDER
from mlrun.record.logged import LoggedRun
from mlrun.record.lookup import answering
from mlrun.training.predictions import Predictions

Word = Literal["identical", "within tolerance", "differs"]
Rows = Mapping[str, list[tuple[int, float]]]  # of each metric its (step, value) pairs, sorted

TIMED = ("examples_per_second", "epoch_seconds", "frozen_seconds_saved")  # a clock decides them
OWN = (*OWN_SECTIONS, "lr")  # what the metrics that a run logs by itself stand under
LOSS = re.compile(r"(.*[/-])?loss")
PREDICTIONS = 0.001  # the fraction of them that may differ
LOSSES = 0.001  # by which losses may differ, or by this fraction of them


@dataclass(frozen=True)
class Outcome:
    """What a run came to.

    weights: SHA-256 of the last ones; empty where it is not known.
    rows: of the metrics to compare, the same names in both of two outcomes.
    predictions: of the best weights for the test part, or else for the validation part.
    """

    weights: str
    rows: Rows
    predictions: Predictions | None


@dataclass(frozen=True)
class Agreement:
    """How far two runs came to the same, with a line on each thing that was compared."""

    word: Word
    lines: tuple[str, ...]


def outcome_of(run: LoggedRun, metrics: Collection[str], folder: Path) -> Outcome:
    """Returns what a run came to, from MLflow.

    Args:
        run: one that is finished.
        metrics: names of those to read; those that the run lacks have no rows.
        folder: takes its predictions.

    Raises:
        MlrunError: the store does not answer.
    """
    with answering():
        logged = {n: run.client.get_metric_history(run.run_id, n) for n in sorted(metrics)}
    rows = {
        name: sorted((entry.step, entry.value) for entry in entries)
        for name, entries in logged.items()
    }
    artifacts = Artifacts(run, folder)
    predictions = read_predictions(artifacts, artifacts.listed(FOLDER, ".npz"))
    return Outcome(run.tags.get("mlrun.weights_sha256", ""), rows, predictions)


def compared_metrics(first: LoggedRun, second: LoggedRun) -> set[str]:
    """Returns the metrics to compare, of a run and of a new one that repeats it.

    What was logged to the first after its end, such as evaluations, is left out, and so is what a
    clock decides.
    """
    own = {name for name in first.metrics if name.partition("/")[0] in OWN} | set(second.metrics)
    return {name for name in own if name not in TIMED and not name.startswith("system/")}


def agreement(first: Outcome, second: Outcome) -> Agreement:
    """Returns how far two outcomes agree.

    They are identical where the weights and all rows are; within tolerance where all but 0.1 % of
    the predictions are equal, and each loss to 1e-3.
    """
    weights, weights_line = compare_weights(first.weights, second.weights)
    rows, rows_line = compare_rows(first.rows, second.rows)
    losses, losses_line = compare_losses(first.rows, second.rows)
    images, images_line = compare_predictions(first.predictions, second.predictions)
    word: Word = "differs"
    if weights and rows:
        word = "identical"
    elif losses and images:
        word = "within tolerance"
    lines = (weights_line, rows_line, *([] if rows else [losses_line]), images_line)
    return Agreement(word, lines)


def compare_weights(first: str, second: str) -> tuple[bool, str]:
    """Returns whether the digests of the weights are equal, and a line on it."""
    if not first or not second:
        return False, "weights: of one run there is no digest"
    if first == second:
        return True, f"weights: equal (sha256 {first[:8]}…)"
    return False, f"weights: other (sha256 {first[:8]}… and {second[:8]}…)"


def compare_rows(first: Rows, second: Rows) -> tuple[bool, str]:
    """Returns whether all rows of all metrics are equal, bit by bit, and a line on it."""
    different = list(differences(first, second))
    count = sum(map(len, first.values()))
    if not different:
        return True, f"metrics: all {count:,} rows of {len(first)} equal"
    step, name = min(different, key=lambda row: (row[1].startswith("step/"), *row))
    values = (
        ", ".join(f"{value:.9g}" for at, value in rows[name] if at == step) or "none"
        for rows in (first, second)
    )
    return False, (
        f"metrics: {len(different):,} of {count:,} rows differ, the first {name} of "
        f"{'step' if name.startswith('step/') else 'epoch'} {step}: {' and '.join(values)}"
    )


def differences(first: Rows, second: Rows) -> Iterator[tuple[int, str]]:
    """Yields step and name of the rows that are not in both, or not as often."""
    for name in first:
        ours, theirs = (
            Counter((step, repr(value)) for step, value in rows[name]) for rows in (first, second)
        )
        yield from ((step, name) for step in {row[0] for row in (ours - theirs) + (theirs - ours)})


def compare_losses(first: Rows, second: Rows) -> tuple[bool, str]:
    """Returns whether all losses are equal to 1e-3, and a line on it."""
    pairs = []
    for name in filter(LOSS.fullmatch, first):
        if [step for step, _ in first[name]] != [step for step, _ in second[name]]:
            return False, f"losses: {name} is not of the same {len(first[name]):,} steps or epochs"
        values = zip(first[name], second[name], strict=True)
        pairs += [(before, after) for (_, before), (_, after) in values]
    if not pairs:
        return False, "losses: there are none"
    close = (math.isclose(*pair, rel_tol=LOSSES, abs_tol=LOSSES) for pair in pairs)
    furthest = max(abs(before - after) for before, after in pairs)
    return all(close), f"losses: they differ by at most {furthest:.2g}"


def compare_predictions(first: Predictions | None, second: Predictions | None) -> tuple[bool, str]:
    """Returns whether all but 0.1 % of the predictions are equal, and a line on it."""
    if first is None or second is None:
        return False, "predictions: of one run there are none"
    part = f"{first.part} predictions"
    same = first.part == second.part and first.logits.shape == second.logits.shape
    if not same or not all(
        np.array_equal(getattr(first, name), getattr(second, name))
        for name in ("labels", "indices")
    ):
        return False, f"{part}: they are of other images"
    count = len(first.labels)
    other = int((first.predicted != second.predicted).sum())
    if not other:
        return True, f"{part}: all {count:,} equal"
    return (
        other <= PREDICTIONS * count,
        f"{part}: {other:,} of {count:,} differ ({other / count:.2%})",
    )
