"""What two runs came to is equal, equal but for rounding, or not."""

from __future__ import annotations

import numpy as np
import pytest

from mlrun.finished.agreement import Outcome, agreement
from mlrun.training.predictions import Predictions

ROWS = {"train/loss": [(0, 2.5), (1, 0.5)], "val/accuracy": [(0, 0.1), (1, 0.9)]}


def predictions(count: int = 2000, *, other: int = 0, shift: int = 0) -> Predictions:
    """Predictions of class 0 for all images but the first `other`."""
    logits = np.tile(np.float32([1, 0]), (count, 1))
    logits[:other] = 0, 1
    places = np.arange(count)
    return Predictions("test", logits, places % 2, places + shift)


def outcome(
    rows: dict[str, list[tuple[int, float]]] | None = None,
    weights: str = "ab",
    predicted: Predictions | None = None,
) -> Outcome:
    return Outcome(weights, ROWS if rows is None else rows, predicted or predictions())


def with_loss(*pairs: tuple[int, float]) -> dict[str, list[tuple[int, float]]]:
    return {**ROWS, "train/loss": list(pairs)}


def test_equal_weights_and_rows_are_identical() -> None:
    found = agreement(outcome(), outcome(predicted=predictions()))
    assert found.word == "identical"
    assert found.lines == (
        "weights: equal (sha256 ab…)",
        "metrics: all 4 rows of 2 equal",
        "test predictions: all 2,000 equal",
    )


def test_a_row_that_is_no_number_is_equal_to_itself() -> None:
    rows = with_loss((0, float("nan")))
    assert agreement(outcome(rows), outcome(with_loss((0, float("nan"))))).word == "identical"


@pytest.mark.parametrize(
    ("second", "word"),
    [
        (outcome(weights="cd"), "within tolerance"),
        (outcome(weights=""), "within tolerance"),
        (outcome(with_loss((0, 2.5), (1, 0.5009))), "within tolerance"),
        (outcome(with_loss((0, 2.502), (1, 0.5))), "within tolerance"),  # 1e-3 of it
        (outcome(with_loss((0, 2.5), (1, 0.502))), "differs"),
        (outcome(with_loss((0, 2.5), (1, 0.5), (1, 0.5))), "differs"),  # a row is there twice
        (outcome(with_loss((0, 2.5))), "differs"),
        (outcome(with_loss((0, 2.5), (2, 0.5))), "differs"),
        (outcome(with_loss((0, 2.5), (1, float("nan")))), "differs"),
        (outcome({**ROWS, "val/accuracy": [(0, 0.1), (1, 0.8)]}), "within tolerance"),
        (outcome({**ROWS, "val/accuracy": []}), "within tolerance"),
        (outcome(weights="cd", predicted=predictions(other=2)), "within tolerance"),
        (outcome(weights="cd", predicted=predictions(other=3)), "differs"),
        (outcome(weights="cd", predicted=predictions(1999)), "differs"),
        (outcome(weights="cd", predicted=predictions(shift=1)), "differs"),
        (Outcome("cd", ROWS, None), "differs"),
        (Outcome("ab", ROWS, None), "identical"),
    ],
)
def test_what_is_not_identical_is_within_tolerance_by_losses_and_predictions(
    second: Outcome, word: str
) -> None:
    assert agreement(outcome(), second).word == word
    assert agreement(second, outcome()).word == word


def test_the_first_row_that_differs_is_shown() -> None:
    rows = {**ROWS, "step/loss": [(7, 1.0)]}
    other = {"train/loss": [(0, 2.5), (1, 0.6)], "val/accuracy": [], "step/loss": [(7, 2.0)]}
    lines = agreement(outcome(rows), outcome(other)).lines
    assert (
        lines[1] == "metrics: 4 of 5 rows differ, the first val/accuracy of epoch 0: 0.1 and none"
    )
    assert lines[2] == "losses: they differ by at most 1"
    assert lines[3] == "test predictions: all 2,000 equal"
