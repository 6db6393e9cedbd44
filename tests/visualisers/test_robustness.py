"""Accuracy against the amount of a change: that of `mlrun evaluate`, with SciPy's intervals."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from drawn import drawn
from runs import artifacts, read
from scipy.stats import binomtest
from views import convolutional, make_view

import mlrun
from mlrun import MlrunError
from mlrun.data.variants import Variant
from mlrun.finished.evaluate import EvaluationRequest, evaluate
from mlrun.seam.registry import discover


def table(**options: Any) -> dict[str, list[Any]]:
    return drawn("robustness", make_view(convolutional()), **options)["robustness-table"]


def test_the_figures_are_those_of_an_evaluation_of_the_same_images_and_seed(store: str) -> None:
    run = mlrun.train(
        {
            "model": "mlp",
            "epochs": 5,
            "lr": 0.01,
            "log_model": False,
            "visualisers": "robustness",
            "robustness.seed": 3,
            "seed": 3,
            "test_variants": "rotate=60,noise=0.4,blur=0.8,shift=1.6",
        }
    )
    assert run.failures == {}
    assert artifacts(run.run_id, "figures") == ["robustness.png"]
    told = json.loads(read(run.run_id, "tables/robustness-table.json"))
    assert told["columns"] == ["change", "amount", "accuracy", "low", "high", "images"]
    found = {(change, amount): rest for change, amount, *rest in told["data"]}
    words = {"rotate": "rotated", "noise": "noised", "blur": "blurred", "shift": "shifted"}
    most = {"rotate": 60.0, "noise": 0.4, "blur": 0.8, "shift": 1.6}
    for change, word in words.items():
        plain, changed = found[change, 0.0][0], found[change, most[change]][0]
        assert plain == run.metrics["test/accuracy"]
        assert changed == run.metrics[f"test-{word}-{most[change]:g}/accuracy"]
        assert plain > 0.85
        assert changed <= plain
    assert found["rotate", 60.0][0] < 0.8 * found["rotate", 0.0][0]
    again = evaluate(run.run_id, EvaluationRequest(variant=Variant(rotate=30)))
    assert found["rotate", 30.0][0] == again.accuracy
    for accuracy, low, high, images in found.values():
        theirs = binomtest(round(accuracy * images), images).proportion_ci(method="wilson")
        assert (low, high) == pytest.approx((theirs.low, theirs.high))
        assert images == 360


def test_some_images_are_a_choice_by_seed_and_amounts_go_by_the_side() -> None:
    found = table(images=20)
    assert found["change"] == [c for c in ("rotate", "noise", "blur", "shift") for _ in range(5)]
    amounts = list(zip(found["change"], found["amount"], strict=True))
    assert [amount for change, amount in amounts if change == "blur"] == [0, 0.15, 0.3, 0.45, 0.6]
    assert [amount for change, amount in amounts if change == "shift"] == [0, 0.3, 0.6, 0.9, 1.2]
    assert set(found["images"]) == {20}
    plain = {table(images=20, seed=seed)["accuracy"][0] for seed in range(6)}
    assert len(plain) > 1
    view = make_view(convolutional())
    whole = drawn("robustness", view, images=99, changes=("noise",))["robustness-table"]
    assert whole["images"] == [60] * 5
    assert whole["accuracy"][0] == view.evaluation("test").accuracy


def test_changes_and_amounts_are_those_asked_for() -> None:
    found = table(changes=("shift", "rotate"), rotate=(90.0, 5.0, 5.0), shift=(0.0, 2.0))
    assert list(zip(found["change"], found["amount"], strict=True)) == [
        ("shift", 0.0), ("shift", 2.0), ("rotate", 0.0), ("rotate", 5.0), ("rotate", 90.0),
    ]  # fmt: skip
    blurred = table(changes=("blur", "noise"), blur=(3.0,), noise=(0.9,))
    assert blurred["amount"] == [0, 3.0, 0, 0.9]


def test_the_curves_are_the_table_s_and_the_part_is_named() -> None:
    view = make_view(convolutional())
    drawing = discover().find("visualiser", "robustness").function
    pictures = dict(drawing(view, part="val", changes=("rotate", "noise", "blur"), images=25))
    figure = pictures[""].image
    assert figure.get_suptitle().startswith("val, epoch 2: accuracy on changed images, 25 of")
    found = pictures["table"]
    assert [axes.get_title() for axes in figure.axes] == ["rotate", "noise", "blur"]
    for place, axes in enumerate(figure.axes):
        rows = slice(5 * place, 5 * place + 5)
        assert axes.lines[0].get_xdata().tolist() == found["amount"][rows]
        assert axes.lines[0].get_ydata().tolist() == found["accuracy"][rows]
        band = axes.collections[0].get_paths()[0].vertices[:, 1]
        assert band.min() == min(found["low"][rows])
        assert band.max() == max(found["high"][rows])
        kept = pictures[""].values[axes.get_title()]
        assert kept.T.tolist() == [
            found[name][rows] for name in ("amount", "accuracy", "low", "high")
        ]


def test_what_is_evaluated_of_some_images_is_what_is_evaluated_of_all() -> None:
    view = make_view(convolutional())
    places = [40, 3, 59]
    some, all_ = view.evaluation_of("test", places), view.evaluation("test")
    torch.testing.assert_close(some.logits, all_.logits[places])
    assert torch.equal(some.labels, all_.labels[places])
    assert torch.equal(some.indices, all_.indices[places])
    with pytest.raises(MlrunError, match="unknown part nope"):
        view.evaluation_of("nope", places)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"changes": ()}, "robustness: changes is none; expected at least one"),
        ({"rotate": (200.0,)}, "robustness: rotate 200.0: expected a number from 0 to 180"),
        ({"noise": (0.0,)}, "robustness: noise has no amount above 0"),
    ],
)
def test_options_that_make_no_picture_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(MlrunError, match=message):
        table(**options)
