"""Pairs of runs that were tested on the same images: accuracies, tests, images they disagree on."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from accounts import account, result, thumbnails
from comparison_data import answers, data_of
from scipy.stats import binomtest
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from mlrun.pages.comparison import comparison
from mlrun.pages.disagreements import SHOWN, disagreements
from mlrun.pages.pairs import pairs, standing


def test_accuracies_have_wilsons_interval() -> None:
    right = np.arange(360) >= 8
    found = standing(result(right))
    assert found is not None
    theirs = binomtest(352, 360).proportion_ci(0.95, method="wilson")
    assert (found.right, found.total, found.accuracy) == (352, 360, 352 / 360)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))
    assert standing(result(np.zeros(0, bool))) is None


def test_pairs_are_mcnemars_test_corrected_by_holm() -> None:
    right = answers(5)
    found = pairs(
        [account(n, predictions=result(one)) for n, one in enumerate(right)], list("abcde")
    )
    chances = []
    for one, other in combinations(right, 2):
        table = [[(one & other).sum(), (one & ~other).sum()], [(~one & other).sum(), 0]]
        chances.append(mcnemar(table, exact=True).pvalue)
    theirs = multipletests(chances, method="holm")[1]
    assert [pair.difference.p for pair in found] == pytest.approx(chances)
    assert [pair.difference.corrected for pair in found] == pytest.approx(theirs)
    assert found[3].sentence.startswith("a is better than e: right on ")
    assert found[0].sentence == (
        f"a and b: no difference that 400 images could show (raw p = {chances[0]:.2g})"
    )


def test_a_difference_that_the_correction_alone_takes_away_is_not_said_to_be_none() -> None:
    right = [np.ones(10_000, bool) for _ in range(8)]
    right[1][:12], right[0][12] = False, False  # p = 0.0034, of 28 pairs
    names = list("abcdefgh")
    found = pairs([account(n, predictions=result(one)) for n, one in enumerate(right)], names)
    assert found[0].sentence == (
        "a and b: a is right on 12 images that the other has wrong, the other way round 1; "
        "a difference is not shown at 5 % after correction for 28 pairs (raw p = 0.0034)"
    )
    page = comparison([account(n, predictions=result(one)) for n, one in enumerate(right)])
    assert page.count("not shown at 5 % after correction for 28 pairs (raw p = 0.0034)") >= 2


def test_runs_on_different_images_or_not_tested_are_not_compared_but_told() -> None:
    right = np.ones(8, bool)
    runs = [
        account(0, predictions=result(right)),
        account(1, predictions=result(right), evaluated_on="test of digits (digest 2)"),
        account(2),
        account(3, predictions=result(right), evaluated_on=""),
        account(4, predictions=result(right), evaluated_on=""),
        account(5, predictions=result(right[:6])),
    ]
    found = pairs(runs, list("abcdef"))
    assert all(pair.difference is None for pair in found)
    assert found[-2].sentence == "d and f cannot be compared: they were tested on different images"
    assert found[2].sentence == (
        "a and d cannot be compared: whether they were tested on the same images cannot be told"
    )
    assert found[0].sentence == ("a and b cannot be compared: they were tested on different images")
    assert found[1].sentence == "a and c cannot be compared: c was not tested"


def test_digests_of_two_versions_tell_what_they_can() -> None:
    right = np.ones(8, bool)
    texts = [f"test of digits (digest {d})" for d in ("01", "sha256:01", "sha256:02", "02")]
    runs = [account(n, predictions=result(right), evaluated_on=t) for n, t in enumerate(texts)]
    runs.append(account(4, predictions=result(right), evaluated_on="val of digits (digest 01)"))
    found = {(pair.first, pair.second): pair for pair in pairs(runs, list("abcde"))}
    alike = {place for place, pair in found.items() if pair.difference is not None}
    assert alike == {(0, 1), (2, 3)}
    untold = {place for place, pair in found.items() if "cannot be told" in pair.sentence}
    assert untold == {(0, 2), (1, 3)}
    assert all("different images" in found[place].sentence for place in set(found) - alike - untold)


def test_disagreements_are_images_that_one_has_right_and_another_wrong() -> None:
    one, other = np.ones(40, bool), np.ones(40, bool)
    one[[3, 5, 20]], other[[3, 7, 8]] = False, False
    runs = [
        account(0, predictions=result(one), thumbnails=thumbnails([3, 5])),
        account(1, {"lr": "1"}, predictions=result(other), thumbnails=thumbnails([7, 9])),
        account(2, {"lr": "2"}, predictions=result(one), evaluated_on="others"),
    ]
    found = disagreements(runs, pairs(runs, list("abc")))
    assert [(image.place, image.run) for image, _ in found] == [(5, 0), (7, 1)]
    for image, predicted in found:
        assert (image.pixels == image.place).all()
        assert set(predicted) == {0, 1}
        label = image.place % 4
        assert predicted[0].predicted == (label if image.place == 7 else (label + 1) % 4)
        logits = runs[0].predictions.logits[image.place].astype(float)
        assert predicted[0].probability == pytest.approx(
            np.exp(logits).max() / np.exp(logits).sum(), rel=1e-5
        )
    data = data_of(comparison(runs))
    assert [image["index"] for image in data["images"]] == [105, 107]
    assert data["pairs"][0]["only"] == [2, 2]  # 7 and 8, 5 and 20: not all of them are kept
    assert data["images"][1]["answers"]["1"][1] == "0"  # image 7 is a 3


def test_only_so_many_images_are_shown_of_a_pair() -> None:
    right, wrong = np.ones(200, bool), np.zeros(200, bool)
    runs = [
        account(0, predictions=result(right), thumbnails=thumbnails(range(200))),
        account(1, {"lr": "1"}, predictions=result(wrong)),
    ]
    found = disagreements(runs, pairs(runs, ["a", "b"]))
    assert [image.place for image, _ in found] == list(range(200 - SHOWN, 200))  # the surest
