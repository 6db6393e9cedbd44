"""Intervals, calibration and McNemar's test, against SciPy, statsmodels and a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from mlrun.errors import MlrunError
from mlrun.training.statistics import Difference, calibration, holm, interval, mcnemar


@pytest.mark.parametrize("right", [0, 1, 17, 352, 359, 360])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_the_interval_is_wilsons(right: int, confidence: float) -> None:
    ours = interval(right, 360, confidence)
    scipys = binomtest(right, 360).proportion_ci(confidence, method="wilson")
    theirs = proportion_confint(right, 360, alpha=1 - confidence, method="wilson")
    assert ours == pytest.approx((scipys.low, scipys.high), abs=1e-12)
    assert ours == pytest.approx(theirs, abs=1e-12)


def chances_of(images: int, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    logits = 3 * random.normal(size=(images, classes))
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return chances.astype(np.float32), random.integers(0, classes, images)


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_the_calibration_error_is_that_of_a_loop_over_the_bins(bins: int) -> None:
    chances, labels = chances_of(500)
    found = calibration(chances, labels, bins=bins)
    sure, right = chances.max(1), chances.argmax(1) == labels
    error = 0.0
    for place in range(bins):
        inside = (sure > place / bins) & (sure <= (place + 1) / bins)
        assert found.counts[place] == inside.sum()
        if inside.any():
            assert found.accuracy[place] == pytest.approx(right[inside].mean())
            assert found.confidence[place] == pytest.approx(sure[inside].mean())
            error += inside.mean() * abs(right[inside].mean() - sure[inside].mean())
        else:
            assert np.isnan(found.accuracy[place])
    assert found.error == pytest.approx(error)
    assert found.counts.sum() == 500


def test_a_model_that_is_sure_and_right_has_no_calibration_error() -> None:
    found = calibration(np.eye(3, dtype=np.float32), np.arange(3))
    assert found.error == 0
    assert calibration(np.eye(3, dtype=np.float32), np.array([1, 2, 0])).error == 1


@pytest.mark.parametrize("seed", range(5))
def test_mcnemars_p_is_that_of_statsmodels(seed: int) -> None:
    random = np.random.default_rng(seed)
    first, second = random.random(400) < 0.9, random.random(400) < 0.9 - 0.02 * seed
    table = [
        [(first & second).sum(), (first & ~second).sum()],
        [(~first & second).sum(), (~first & ~second).sum()],
    ]
    found = mcnemar(first, second)
    assert found.p == pytest.approx(reference_mcnemar(table, exact=True).pvalue)
    assert (found.first, found.second, found.images) == (table[0][1], table[1][0], 400)


def test_what_mcnemars_test_comes_to_is_said_in_plain_words() -> None:
    first = np.ones(10_000, dtype=bool)
    second = first.copy()
    assert mcnemar(first, second).sentence("A", "B") == (
        "A and B: no difference that 10,000 images could show (p = 1)"
    )
    second[:12] = False
    assert mcnemar(first, second).sentence("A", "B") == (
        "A is better than B: right on 12 images that the other has wrong, the other way round 0 "
        "(p = 0.00049)"
    )
    assert mcnemar(second, first).sentence("A", "B").startswith("B is better than A: right on 12")
    second[1:12] = True
    assert mcnemar(first[:1], second[:1]).sentence("A", "B") == (
        "A and B: no difference that 1 image could show (p = 1)"
    )
    with pytest.raises(MlrunError, match=r"^10,000 and 3 images cannot be compared$"):
        mcnemar(first, np.ones(3, dtype=bool))


def test_what_the_images_show_is_told_from_what_is_left_of_it_after_correction() -> None:
    found = Difference(10_000, 1, 12, 0.0034, 0.085, tests=25)
    assert found.sentence("A", "B") == (
        "B and A: B is right on 12 images that the other has wrong, the other way round 1; "
        "a difference is not shown at 5 % after correction for 25 pairs (raw p = 0.0034)"
    )
    assert not found.shown
    found = Difference(10_000, 14, 1, 0.00098, 0.024, tests=25)
    assert found.sentence("A", "B") == (
        "A is better than B: right on 14 images that the other has wrong, the other way round 1 "
        "(p = 0.024 after correction for 25 pairs)"
    )
    found = Difference(10_000, 5, 4, 1.0, 1.0, tests=25)
    assert found.sentence("A", "B") == (
        "A and B: no difference that 10,000 images could show (raw p = 1)"
    )
    barely = Difference(10_000, 1, 9, 0.04996, 0.04996)
    assert barely.sentence("A", "B").endswith("the other way round 1 (p = 0.04996)")


@pytest.mark.parametrize("count", [1, 2, 7, 66])
def test_corrected_p_values_are_those_of_statsmodels(count: int) -> None:
    chances = np.random.default_rng(count).random(count) ** 4
    chances[: count // 3] = chances[-1]  # equal ones, as McNemar's exact test often gives
    assert holm(chances.tolist()) == pytest.approx(multipletests(chances, method="holm")[1])
    assert holm([]) == []
