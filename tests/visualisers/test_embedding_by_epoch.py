"""Images in a plane through time: against scikit-learn, and the same axes in each epoch."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from mlrun_visualisers.canvas.choice import random_places
from mlrun_visualisers.embeddings import epochs as drawing
from mlrun_visualisers.embeddings.epochs import basis_text, limits_of, spread_evenly
from mlrun_visualisers.embeddings.projection import signs_of
from runs import QUICK, artifacts_of
from sklearn.decomposition import PCA
from torch import nn
from views import convolutional, make_view

import mlrun
from mlrun import MlrunError, Picture, View
from mlrun.inside.drawing.rendering import pixels
from mlrun.seam.registry import discover

NAME = "embedding-by-epoch"
Kept = dict[int, dict[str, Any]]


def made(view: View, **options: Any) -> list[Picture]:
    function = discover().find("visualiser", NAME).function
    return [picture for label, picture in function(view, **options) if label == ""]


def at(epoch: int) -> View:
    """A view of one model whose weights drift with the epochs."""
    model = convolutional()
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            drawn = torch.Generator().manual_seed(number)
            step = torch.randn(parameter.shape, generator=drawn)
            parameter.mul_(1 + 0.2 * epoch).add_(0.03 * epoch * step)
    return replace(make_view(model), epoch=epoch)


def kept_of(epochs: list[int], **options: Any) -> Kept:
    return {epoch: {"": made(at(epoch), **options)[0].values} for epoch in epochs}


def drawn_of(kept: Kept, **options: Any) -> dict[int, Picture]:
    view = replace(at(0), final=True, kept=kept)
    found = {picture.epoch: picture for picture in made(view, **options)}
    assert list(found) == list(kept)
    return found


def title_of(picture: Picture) -> str:
    assert isinstance(picture.image, Figure)
    title: str = picture.image.axes[0].get_title(loc="left")
    return title


@torch.no_grad()
def by_hand(view: View, images: torch.Tensor) -> np.ndarray:
    """What the last linear layer of `convolutional` gets."""
    conv = view.model[0]
    inputs = (images.float() / 255 - 0.5) / 0.25
    return F.conv2d(inputs, conv.weight, conv.bias, padding=1).relu().flatten(1).numpy()


def test_an_epoch_keeps_what_the_layer_makes_of_the_images_and_what_they_are_taken_for() -> None:
    view = at(3)
    (picture,) = made(view, images=20, seed=5)
    assert picture.image is None
    places = random_places(30, 20, 5)
    found = view.evaluation("val")
    kept = picture.values
    assert kept["values"].dtype == np.float32
    np.testing.assert_allclose(
        kept["values"], by_hand(view, view.images("val", places)), rtol=1e-5, atol=1e-5
    )
    assert kept["labels"].tolist() == found.labels[places].tolist()
    assert kept["predicted"].tolist() == found.predicted[places].tolist()
    assert kept["indices"].tolist() == found.indices[places].tolist()
    assert made(view, layer="0", images=3)[0].values["values"].shape == (3, 4, 6, 6)
    train = made(view, part="train", images=3)[0].values
    assert train["indices"].tolist() != kept["indices"][:3].tolist()


def test_the_basis_is_scikit_learn_s_of_all_epochs_together_and_draws_each() -> None:
    epochs = [0, 1, 4]
    drawn = drawn_of(kept_of(epochs))
    places = random_places(30, 500, 0)
    values = [by_hand(at(epoch), at(epoch).images("val", places)) for epoch in epochs]
    theirs = PCA(2, svd_solver="full").fit(np.concatenate(values))
    points = theirs.transform(np.concatenate(values))
    points *= signs_of(points, np.tile(at(0).labels("val")[places].numpy(), 3))
    for epoch, expected in zip(epochs, points.reshape(3, 30, 2), strict=True):
        np.testing.assert_allclose(drawn[epoch].values["points"], expected, atol=2e-3)
        shown = [dots.get_offsets() for dots in drawn[epoch].image.axes[0].collections]
        assert sorted(np.concatenate(shown).tolist()) == sorted(
            drawn[epoch].values["points"].tolist()
        )
    last = at(4).activations(["3"], at(4).images("val", places), side="input")["3"][0]
    np.testing.assert_allclose(
        np.abs(drawn[4].values["points"]), np.abs(theirs.transform(last.numpy())), atol=2e-3
    )
    first, second = theirs.explained_variance_ratio_
    wrong = int((at(4).evaluation("val").predicted != at(4).evaluation("val").labels).sum())
    assert title_of(drawn[4]) == (
        "input of 3, 144 values, epoch 4\n"
        f"30 of 30 val images, {wrong} misclassified\n"
        f"one PCA for 3 epochs: explained variance {first:.1%} and {second:.1%}"
    )


def test_every_epoch_has_the_same_axes_once_it_is_drawn_and_they_hold_all_points() -> None:
    drawn = drawn_of(kept_of([0, 2, 9]))
    seen = set()
    for picture in drawn.values():
        assert isinstance(picture.image, Figure)
        pixels(picture.image)  # lays it out
        axes = picture.image.axes[0]
        seen.add((axes.get_xlim(), axes.get_ylim(), axes.get_position().bounds))
        (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        assert (picture.values["points"] > (left, bottom)).all()
        assert (picture.values["points"] < (right, top)).all()
        box = axes.get_window_extent()
        assert box.width / (right - left) == pytest.approx(box.height / (top - bottom))
    assert len(seen) == 1


def test_limits_hold_the_points_and_fill_the_picture() -> None:
    for points in (np.array([[0.0, 0.0], [10.0, 1.0]]), np.array([[0.0, 0.0], [1.0, 10.0]])):
        (left, right), (bottom, top) = limits_of(points)
        assert (right - left) / (top - bottom) == pytest.approx(drawing.RATIO)
        longest = points[1].argmax()
        assert ((left, right), (bottom, top))[longest] == pytest.approx((-0.4, 10.4))


def test_of_many_epochs_the_basis_is_fitted_on_sixteen_and_all_are_drawn() -> None:
    assert spread_evenly([0, 1, 2, 3, 4, 5, 6], 3) == [0, 3, 6]
    some = spread_evenly([epoch * 2 for epoch in range(31)])
    assert (some[0], some[-1], len(some), len(set(some))) == (0, 60, 16, 16)
    assert set(np.diff(some)) == {4}
    assert spread_evenly(list(range(16))) == list(range(16))
    assert basis_text(1, 1) == "one PCA for 1 epoch"
    one, other = kept_of([1, 2]).values()
    kept = {epoch: other if epoch in spread_evenly(list(range(40))) else one for epoch in range(40)}
    drawn = drawn_of(kept)
    theirs = PCA(2, svd_solver="full").fit(other[""]["values"])
    for epoch in (0, 1):
        expected = theirs.transform(kept[epoch][""]["values"])
        points = drawn[epoch].values["points"]
        np.testing.assert_allclose(np.abs(points), np.abs(expected), atol=2e-3)
    assert "one PCA for 40 epochs, fitted on 16: explained" in title_of(drawn[7])


def test_one_epoch_alone_is_drawn() -> None:
    drawn = drawn_of(kept_of([0], images=3))
    assert drawn[0].values["points"].shape == (3, 2)
    assert "one PCA for 1 epoch: explained" in title_of(drawn[0])


def test_an_epoch_in_which_all_images_are_the_same_is_one_point_among_the_others() -> None:
    kept = kept_of([0, 1])
    kept[1][""] = {**kept[1][""], "values": np.zeros_like(kept[1][""]["values"])}
    points = drawn_of(kept)[1].values["points"]
    assert len(np.unique(points, axis=0)) == 1


def test_of_a_large_layer_fewer_images_are_kept_and_the_user_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(drawing, "MOST_VALUES", 144 * 20 + 143)
    view = at(0)
    assert made(view)[0].values["values"].shape == (20, 144)
    assert view.notes == ["input of 3 has 144 values an image: 20 of 30 images drawn"]
    monkeypatch.setattr(drawing, "MOST_VALUES", 144 * 3 - 1)
    with pytest.raises(MlrunError, match="input of 3 has 144 values an image, of at most 431 for"):
        made(view)


def test_what_cannot_be_drawn_is_told() -> None:
    with pytest.raises(MlrunError, match="nothing to draw: no epoch was kept"):
        made(replace(at(0), final=True))
    without = make_view(nn.Sequential(nn.Conv2d(1, 3, 6), nn.Flatten()))
    with pytest.raises(MlrunError, match=r"a layer with --embedding-by-epoch\.layer: 0, 1"):
        made(without)
    single = make_view(nn.Sequential(nn.Flatten(), nn.Linear(36, 1), nn.Linear(1, 3)))
    kept = {0: {"": made(single)[0].values}}
    with pytest.raises(MlrunError, match="input of 2: 1 values of 30 images; expected at least 2"):
        made(replace(single, final=True, kept=kept))


def run_of(**settings: Any) -> Path:
    run = mlrun.train({**QUICK, "visualisers": NAME, **settings})
    assert run.failures == {}
    return artifacts_of(run.run_id)


def epochs_of(folder: Path) -> list[int]:
    names = [path.name for path in (folder / "images").glob("*.png")]
    found = [re.match(rf"{NAME}\+step\+(\d+)\+", name) for name in names]
    return sorted(int(match[1]) for match in found if match)


def test_a_run_that_stops_early_draws_the_epochs_there_were(store: str) -> None:
    settings = {"epochs": 9, "optimiser": "sgd", "lr": 1e-30, "early_stopping": 2}
    folder = run_of(**settings, **{f"{NAME}.images": 40, f"{NAME}.layer": "pixels"})
    assert epochs_of(folder) == [0, 1, 2, 3]
    with np.load(folder / "values/epoch-0003.npz") as arrays:
        values, labels = (arrays[f"{NAME}/{name}"] for name in ("values", "labels"))
    assert values.shape == (40, 1, 8, 8)
    stacked = np.concatenate([values.reshape(40, -1)] * 4)  # pixels are the same in each epoch
    expected = PCA(2, svd_solver="full").fit(stacked).transform(stacked)
    expected *= signs_of(expected, np.tile(labels, 4))
    with np.load(folder / "values/end.npz") as arrays:
        for epoch in range(4):
            points = arrays[f"{NAME}/epoch-{epoch:04}/points"]
            np.testing.assert_allclose(points, expected[:40], atol=1e-4)
    assert not (folder / "figures").exists()


def test_a_run_that_only_looks_at_a_model_draws_its_one_epoch(store: str) -> None:
    folder = run_of(epochs=0)
    assert epochs_of(folder) == [0]
    with np.load(folder / "values/epoch-0000.npz") as arrays:
        assert f"{NAME}/values" in arrays
