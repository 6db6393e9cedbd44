"""The reliability diagram and its table, against scikit-learn and a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from drawn import drawn
from matplotlib.figure import Figure
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve
from torch import nn
from views import convolutional, make_view

from mlrun import View
from mlrun.seam.registry import discover


def two_classes() -> View:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 2))
    return make_view(model, classes=2)


def figure_of(view: View, **options: object) -> Figure:
    return dict(discover().find("visualiser", "calibration").function(view, **options))[""].image


@pytest.mark.parametrize("bins", [4, 10])
def test_of_two_classes_the_bins_are_scikit_learn_s(bins: int) -> None:
    view = two_classes()
    table = drawn("calibration", view, bins=bins)["calibration-table"]
    found = view.predictions
    chances = found.logits.softmax(1).numpy()
    right = (found.predicted == found.labels).numpy()
    theirs = calibration_curve(right, chances.max(1), n_bins=bins)
    there = [place for place, count in enumerate(table["images"]) if count]
    assert len(there) >= 2
    assert [table["accuracy"][place] for place in there] == pytest.approx(theirs[0], abs=1e-4)
    assert [table["confidence"][place] for place in there] == pytest.approx(theirs[1], abs=1e-4)


def test_the_table_is_that_of_a_loop_and_its_intervals_are_scipy_s() -> None:
    view = make_view(convolutional())
    table = drawn("calibration", view, part="val", bins=7)["calibration-table"]
    found = view.evaluation("val")
    sure = found.logits.double().softmax(1).amax(1).tolist()
    right = (found.predicted == found.labels).tolist()
    error = 0.0
    for place in range(7):
        inside = [i for i, chance in enumerate(sure) if place / 7 < chance <= (place + 1) / 7]
        cells = {name: column[place] for name, column in table.items()}
        assert cells["from"] == pytest.approx(place / 7, abs=1e-4)
        assert cells["to"] == pytest.approx((place + 1) / 7, abs=1e-4)
        assert cells["images"] == len(inside)
        if not inside:
            assert (cells["accuracy"], cells["confidence"]) == (None, None)
            assert (cells["low"], cells["high"]) == (None, None)
            continue
        hits = sum(right[i] for i in inside)
        confidence = sum(sure[i] for i in inside) / len(inside)
        assert cells["accuracy"] == pytest.approx(hits / len(inside), abs=1e-4)
        assert cells["confidence"] == pytest.approx(confidence, abs=1e-4)
        ends = binomtest(hits, len(inside)).proportion_ci(method="wilson")
        assert (cells["low"], cells["high"]) == pytest.approx((ends.low, ends.high), abs=1e-4)
        error += abs(hits - sum(sure[i] for i in inside)) / len(sure)
    title = figure_of(view, part="val", bins=7).get_suptitle()
    assert title.startswith(f"val, epoch 2: expected calibration error {error:.4f}\n30 images, ")


def test_what_is_drawn_is_the_table() -> None:
    view = two_classes()
    upper, lower = figure_of(view, bins=10).axes
    table = drawn("calibration", view, bins=10)["calibration-table"]
    there = [place for place, count in enumerate(table["images"]) if count]
    (drawing,) = upper.containers
    points, _, (bars,) = drawing
    expected = [[table["confidence"][place], table["accuracy"][place]] for place in there]
    np.testing.assert_allclose(points.get_xydata(), expected, atol=1e-4)
    ends = [segment[:, 1].tolist() for segment in bars.get_segments()]
    expected = [[table["low"][place], table["high"][place]] for place in there]
    np.testing.assert_allclose(ends, expected, atol=1e-4)
    assert [bar.get_height() for bar in lower.patches] == table["images"]
    assert [text.get_text() for text in lower.texts] == [str(n) for n in table["images"] if n]
    assert not figure_of(view, bins=30).axes[1].texts
