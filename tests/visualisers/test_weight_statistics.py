"""Weights and gradients by layer: the numbers are NumPy's and autograd's, and what is drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from drawn import pictures
from matplotlib.figure import Figure
from runs import artifacts_of
from torch import Tensor, nn
from views import convolutional, make_view

import mlrun
from mlrun import MlrunError, Picture, View
from mlrun.seam.registry import discover

NAMES = ("0.weight", "3.weight")


def picture_of(view: View, **options: Any) -> Picture:
    made = discover().find("visualiser", "weight-statistics").function(view, **options)
    assert isinstance(made, Picture)
    return made


def texts(made: Picture) -> list[list[str]]:
    assert isinstance(made.image, Figure)
    return [[text.get_text() for text in axes.texts] for axes in made.image.axes[:2]]


def expected_gradients(view: View, images: int, loss: Any = F.cross_entropy) -> dict[str, Tensor]:
    view.model.zero_grad()
    inputs = (view.images("train").float() / 255 - 0.5) / 0.25
    loss(view.model(inputs[:images]), view.labels("train")[:images]).backward()
    return {name: p.grad.clone() for name, p in view.model.named_parameters() if p.grad is not None}


def check(found: np.ndarray, values: Tensor) -> None:
    flat = values.detach().double().numpy().ravel()
    figures = [flat.mean(), flat.std(), np.abs(flat).mean(), np.linalg.norm(flat)]
    quantiles = np.quantile(flat, [0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1])
    np.testing.assert_allclose(found, [*figures, *quantiles], rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("at_once", [2**21, 36 * 7])
def test_the_values_are_numpy_s_of_the_weights_and_of_autograd_s_gradients(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlrun_visualisers.networks.parameters.PIXELS_AT_ONCE", at_once)
    view = make_view(convolutional())
    made = picture_of(view, images=20)
    gradients = expected_gradients(view, 20)
    assert sorted(made.values) == sorted(
        f"{name}-{kind}" for name in NAMES
        for kind in ("weights", "weights-counts", "gradients", "gradients-counts")
    )  # fmt: skip
    for name in NAMES:
        check(made.values[f"{name}-weights"], view.model.get_parameter(name))
        check(made.values[f"{name}-gradients"], gradients[name])


def test_the_bars_are_numpy_s_histograms_of_them() -> None:
    view = make_view(convolutional())
    made = picture_of(view)
    assert isinstance(made.image, Figure)
    gradients = expected_gradients(view, 128)
    weights_axes, gradients_axes = made.image.axes[:2]
    for row, name in enumerate(NAMES):
        weight = view.model.get_parameter(name).detach().numpy().ravel()
        limit = 2.0 ** np.ceil(np.log2(np.abs(weight).max()))
        counts, _ = np.histogram(weight, np.linspace(-limit, limit, 81))
        assert made.values[f"{name}-weights-counts"].tolist() == counts.tolist()
        size = gradients[name].abs().numpy().ravel()
        sizes, _ = np.histogram(np.log10(size[size > 0]), np.linspace(-9, 1, 81))
        assert np.abs(made.values[f"{name}-gradients-counts"] - sizes).sum() <= 2  # at an edge
        for axes, kind in ((weights_axes, "weights"), (gradients_axes, "gradients")):
            kept = made.values[f"{name}-{kind}-counts"]
            drawn = axes.patches[row].get_data()
            heights = (drawn.values - drawn.baseline) / 0.62
            np.testing.assert_allclose(heights, kept / kept.max(), atol=1e-9)
    told = texts(made)
    assert told[0][0] == (
        f"std {made.values['0.weight-weights'][1]:.3g}, mean "
        f"{made.values['0.weight-weights'][0]:.2g}, limit ±0.5"
    )
    assert told[1][1] == f"norm {made.values['3.weight-gradients'][3]:.3g}"


def test_the_loss_is_the_model_s_own() -> None:
    model = convolutional()

    def own(outputs: Tensor, labels: Tensor) -> Tensor:
        return (outputs - F.one_hot(labels, 3)).square().mean(1)

    vars(model)["loss"] = own
    view = make_view(model)
    made = picture_of(view)
    gradients = expected_gradients(view, 99, lambda outputs, labels: own(outputs, labels).mean())
    for name in NAMES:
        check(made.values[f"{name}-gradients"], gradients[name])


def test_frozen_and_unused_layers_have_no_gradient_and_say_so() -> None:
    class Idle(nn.Sequential):
        def __init__(self) -> None:
            super().__init__(*convolutional(), nn.BatchNorm1d(3))
            self.idle = nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            for layer in list(self.children())[:5]:
                x = layer(x)
            return x

    model = Idle()
    model[0].requires_grad_(requires_grad=False)
    made = picture_of(make_view(model))
    told = texts(made)[1]
    assert told[0] == "no gradient: frozen"
    assert told[1].startswith("norm ")
    assert told[2] == "no gradient: not used"
    assert np.isnan(made.values["0.weight-gradients"]).all()
    assert not made.values["0.weight-gradients-counts"].any()
    model.requires_grad_(requires_grad=False)
    told = texts(picture_of(make_view(model)))
    assert told[1] == ["no gradient: frozen"] * 3
    assert pictures("weight-statistics", make_view(model))


def test_zeros_are_told_and_what_is_beyond_the_axis_is_counted_at_its_ends() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 4), nn.ReLU(), nn.Linear(4, 3))
    with torch.no_grad():
        model[1].bias.copy_(torch.tensor([1e4, 1e4, -1e9, -1e9]))  # two units are dead
    view = make_view(model)
    made = picture_of(view)
    assert texts(made)[1][0].endswith(", 50 % are 0")
    assert made.values["1.weight-gradients-counts"].sum() == 72
    assert made.values["3.weight-gradients-counts"][-1] > 0


def test_the_curves_go_through_the_epochs_that_were_kept() -> None:
    model = convolutional()
    values = []
    for epoch in range(3):
        view = make_view(model)
        view.epoch = epoch
        view.kept = {number: {"": kept} for number, kept in enumerate(values)}
        made = picture_of(view)
        values.append(made.values)
        with torch.no_grad():
            model[0].weight.mul_(3)
    assert isinstance(made.image, Figure)
    for axes, kind, place in ((2, "weights", 2), (3, "gradients", 3)):
        for row, name in enumerate(NAMES):
            line = made.image.axes[axes].lines[row]
            assert line.get_xdata().tolist() == [0, 1, 2]
            kept = [of_epoch[f"{name}-{kind}"][place] for of_epoch in values]
            np.testing.assert_allclose(10.0 ** line.get_ydata(), kept)
        low, high = made.image.axes[axes].get_ylim()
        assert (low, high) == (round(low), round(high))


def test_layers_are_named_as_modules_or_as_parameters() -> None:
    view = make_view(convolutional())
    assert next(iter(picture_of(view, layers=("3",)).values)) == "3.weight-weights"
    made = picture_of(view, layers=("3.weight", "0"))
    assert [name for name in made.values if name.endswith("-weights")] == [
        "3.weight-weights", "0.weight-weights",
    ]  # fmt: skip
    with pytest.raises(
        MlrunError,
        match=r"there is no layer 1 with parameters of two or more axes; there are: 0.weight, 3.we",
    ):
        picture_of(view, layers=("1",))
    with pytest.raises(MlrunError, match="the model has no parameter of two or more axes"):
        picture_of(make_view(nn.Sequential(nn.Flatten(), nn.BatchNorm1d(36))))
    deep = nn.Sequential(*(nn.Conv2d(1, 1, 1) for _ in range(10)), nn.Flatten(), nn.Linear(36, 3))
    view = make_view(deep)
    assert len(picture_of(view).values) == 4 * 8
    assert view.notes[0].endswith("; name layers with --weight-statistics.layers")


def test_a_run_draws_one_picture_an_epoch_and_keeps_the_values(store: str) -> None:
    run = mlrun.train(
        {"epochs": 2, "log_model": False, "visualisers": "weight-statistics", "model.channels": 4}
    )
    assert run.failures == {}
    folder = artifacts_of(run.run_id)
    drawn = sorted(file.name.split("+time")[0] for file in (folder / "images").glob("*.png"))
    assert drawn == [f"weight-statistics+step+{epoch}" for epoch in range(3)]
    with np.load(folder / "values/epoch-0002.npz") as arrays:
        assert arrays["weight-statistics/conv1.weight-weights"].shape == (13,)
        assert arrays["weight-statistics/out.weight-gradients-counts"].sum() > 0
