"""Images in a plane: against scikit-learn on activations that are computed by hand."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from mlrun_visualisers.canvas.choice import random_places
from mlrun_visualisers.embeddings import points as drawing
from mlrun_visualisers.embeddings import projection
from mlrun_visualisers.embeddings.points import Points, colours_of, scatter, table_of
from mlrun_visualisers.embeddings.projection import neighbour_points, principal_basis, signs_of
from runs import QUICK, artifacts
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits
from torch import nn
from views import convolutional, make_view

import mlrun
from mlrun import MlrunError, View
from mlrun.seam.registry import discover

CLASSES = 3


def embedded(view: View, **options: Any) -> tuple[Figure, dict[str, list[Any]]]:
    found = dict(discover().find("visualiser", "embedding").function(view, **options))
    return found[""].image, found["table"]


def points_of(table: dict[str, list[Any]]) -> np.ndarray:
    return np.stack([table["x"], table["y"]], axis=1)


def by_hand(model: nn.Sequential, images: torch.Tensor) -> np.ndarray:
    """What the last linear layer of `convolutional` gets."""
    inputs = (images.float() / 255 - 0.5) / 0.25
    return F.conv2d(inputs, model[0].weight, model[0].bias, padding=1).relu().flatten(1).numpy()


@torch.no_grad()
def test_the_points_are_scikit_learn_s_principal_components_of_what_the_last_layer_gets() -> None:
    model = convolutional()
    view = make_view(model)
    figure, table = embedded(view, images=40)
    places = random_places(60, 40, 0)
    theirs = PCA(2, svd_solver="full").fit(by_hand(model, view.images("test", places)))
    expected = theirs.transform(by_hand(model, view.images("test", places)))
    labels = view.labels("test")[places].numpy()
    expected *= signs_of(expected, labels)
    np.testing.assert_allclose(points_of(table), expected, atol=1e-3)
    first, second = theirs.explained_variance_ratio_
    wrong = int((view.evaluation("test").predicted[places].numpy() != labels).sum())
    assert figure.axes[0].get_title(loc="left") == (
        "input of 3, 144 values\n"
        "PCA of 40 of 60 test images, epoch 2\n"
        f"explained variance {first:.1%} and {second:.1%}; {wrong} misclassified"
    )


@torch.no_grad()
def test_a_layer_s_output_is_flattened_and_pixels_are_themselves() -> None:
    model = convolutional()
    view = make_view(model)
    default, of_relu = embedded(view)[1], embedded(view, layer="1")[1]
    assert of_relu == default
    assert embedded(view, layer="0")[1] != default
    figure, table = embedded(view, layer="pixels", part="val")
    pixels = view.images("val").flatten(1).numpy() / 255
    theirs = PCA(2, svd_solver="full").fit_transform(pixels)[random_places(30, 30, 0)]
    np.testing.assert_allclose(np.abs(points_of(table)), np.abs(theirs), atol=1e-4)
    assert figure.axes[0].get_title(loc="left").startswith("pixels, 1 × 6 × 6 values\nPCA of 30")


def test_a_layer_with_two_units_and_three_images_have_an_embedding() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 2), nn.Tanh(), nn.Linear(2, 3))
    torch.manual_seed(0)
    figure, table = embedded(make_view(model), images=3)
    assert len(table["x"]) == 3
    assert figure.axes[0].get_title(loc="left").startswith("input of 3, 2 values")


def test_axes_point_the_same_way_whatever_the_weights_make_of_signs_and_units() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 200)
    values = random.normal(size=(200, 9)).astype(np.float32)
    values += 3 * random.normal(size=(4, 9)).astype(np.float32)[labels]
    turned = values @ np.linalg.qr(random.normal(size=(9, 9)))[0].astype(np.float32) + 5
    one, two = (principal_basis(v, labels, 0).project(v) for v in (values, turned))
    np.testing.assert_allclose(one, two, atol=1e-3)


def test_the_first_class_that_lies_far_out_decides_the_sign() -> None:
    points = np.array([[0.1, 4.0], [-8.0, -8.0], [9.0, 5.0]])
    assert signs_of(points, np.array([0, 1, 2])).tolist() == [-1, 1]
    assert signs_of(points[:, ::-1], np.array([7, 1, 2])).tolist() == [-1, -1]


def test_a_basis_draws_other_values_on_the_same_axes() -> None:
    random = np.random.default_rng(0)
    values, others = random.normal(size=(2, 30, 5)).astype(np.float32)
    basis = principal_basis(values, np.arange(30) % 3, 0)
    theirs = PCA(2).fit(values)
    np.testing.assert_allclose(
        np.abs(basis.project(others)), np.abs(theirs.transform(others)), atol=1e-5
    )
    np.testing.assert_allclose(basis.axes @ basis.axes.T, np.eye(2), atol=1e-5)


def test_images_go_through_the_model_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    view = make_view(convolutional())
    whole = embedded(view)[1]
    sizes: list[int] = []
    view.model.register_forward_pre_hook(lambda module, given: sizes.append(len(given[0])))
    monkeypatch.setattr(projection, "VALUES_AT_ONCE", 7 * 144)
    assert points_of(embedded(view)[1]) == pytest.approx(points_of(whole), abs=1e-4)
    assert sizes == [1, *[7] * 8, 4]


def test_of_a_layer_that_is_too_large_fewer_images_are_drawn_and_the_user_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(drawing, "MOST_VALUES", 144 * 20 + 143)
    view = make_view(convolutional())
    figure, table = embedded(view)
    assert view.notes == ["input of 3 has 144 values an image: 20 of 60 images drawn"]
    assert len(table["x"]) == 20
    assert "PCA of 20 of 60" in figure.axes[0].get_title(loc="left")


def test_t_sne_is_scikit_learn_s_and_the_same_again() -> None:
    random = np.random.default_rng(0)
    values, labels = random.normal(size=(40, 5)).astype(np.float32), np.arange(40) % 3
    points = neighbour_points(values, labels, perplexity=5, seed=1)
    with threadpool_limits(1):  # with more threads their own differ from call to call
        theirs = TSNE(perplexity=5, random_state=1).fit_transform(values)
    np.testing.assert_allclose(np.abs(points), np.abs(theirs), rtol=1e-4)
    assert np.array_equal(points, neighbour_points(values, labels, perplexity=5, seed=1))
    figure, _ = embedded(make_view(convolutional()), method="tsne", perplexity=4, images=20, seed=3)
    title = figure.axes[0].get_title(loc="left")
    assert "t-SNE of 20 of 60 test images, epoch 2\nperplexity 4, seed 3" in title


class Constant(nn.Module):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.value, self.idle = value, nn.Linear(1, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.full((len(images), CLASSES), self.value)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (
            convolutional(),
            {"method": "tsne", "images": 30},
            "perplexity 30 needs more than 30 images, and there are 30; ask for more with "
            "--embedding.images, or for a smaller --embedding.perplexity",
        ),
        (convolutional(), {"layer": "conv"}, "unknown layer conv; there are: 0, 1, 2, 3"),
        (
            nn.Sequential(OrderedDict(c=nn.Conv2d(1, 3, 6), f=nn.Flatten())),
            {},
            "the model has no linear layer .* name a layer with --embedding.layer: c, f",
        ),
        (Constant(1.0), {}, "input of idle makes no tensor of 1 images; name another"),
        (nn.Sequential(Constant(1.0)), {"layer": "0"}, "0 is the same for all of 60 images"),
        (nn.Sequential(Constant(np.nan)), {"layer": "0"}, "0 makes values that are not finite"),
    ],
)
def test_what_cannot_be_drawn_is_told(
    model: nn.Module, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(MlrunError, match=message):
        embedded(make_view(model), **options)


def test_the_images_are_the_same_whatever_the_model_and_others_with_another_seed() -> None:
    one, two = make_view(convolutional()), make_view(nn.Sequential(nn.Flatten(), nn.Linear(36, 3)))
    first, second = (embedded(view, images=9)[1]["index"] for view in (one, two))
    assert first == second
    assert embedded(one, images=9, seed=1)[1]["index"] != first
    assert len(set(first)) == 9


def test_the_table_says_what_the_evaluation_says(monkeypatch: pytest.MonkeyPatch) -> None:
    view = make_view(convolutional())
    table = embedded(view, part="train", images=20)[1]
    found = view.evaluation("train")
    for row, index in enumerate(table["index"]):
        place = found.indices.tolist().index(index)
        assert table["class"][row] == view.classes[int(found.labels[place])]
        assert table["predicted"][row] == view.classes[int(found.predicted[place])]
    many = Points(np.zeros((9, 2)), np.zeros(9, dtype=int), np.zeros(9, dtype=int))
    monkeypatch.setattr(drawing, "MOST_ROWS", 5)
    assert [len(cells) for cells in table_of(many, "a", np.arange(9)).values()] == [5] * 5


@pytest.mark.parametrize("classes", [1, 10, 26])
def test_classes_have_colours_and_names_of_their_own(classes: int) -> None:
    labels = np.arange(60) % classes
    predicted = labels.copy()
    predicted[:4] += 1
    names = [f"_$class {number}" for number in range(classes)]
    places = np.random.default_rng(0).normal(size=(60, 2))
    figure = scatter(Points(places, labels, predicted), names, "t")
    assert len(np.unique(colours_of(classes), axis=0)) == classes
    right, wrong = figure.axes[0].collections
    assert np.array_equal(wrong.get_offsets(), places[:4])
    assert np.array_equal(right.get_facecolors(), colours_of(classes)[labels[4:]])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [*names, "misclassified"]


def test_more_classes_than_can_be_told_apart_have_a_colour_bar() -> None:
    labels = np.arange(60) % 27
    points = Points(np.random.default_rng(0).normal(size=(60, 2)), labels, labels)
    figure = scatter(points, [str(number) for number in range(27)], "t")
    assert figure.axes[1].get_ylabel() == "class (number)"
    assert len(figure.legends[0].get_texts()) == 1


def test_a_run_draws_it_at_its_end(store: str) -> None:
    run = mlrun.train({**QUICK, "visualisers": "embedding", "embedding.layer": "fc1"})
    assert run.failures == {}
    assert artifacts(run.run_id, "figures") == ["embedding.png"]
    assert artifacts(run.run_id, "tables") == ["embedding-table.json", "per-class.json"]
