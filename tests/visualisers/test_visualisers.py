"""The first-party visualisers: what is drawn is what is there."""

from __future__ import annotations

from collections import OrderedDict
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from drawn import decode, figures, pictures, titles
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from mlrun_visualisers.canvas import grids, scales
from mlrun_visualisers.canvas.captions import SIDE
from mlrun_visualisers.networks.weight_grids import APART, by_unit
from torch import nn
from views import convolutional, make_view

from mlrun import MlrunError
from mlrun.inside.drawing.rendering import pixels
from mlrun.seam.registry import discover


@pytest.mark.parametrize("name", [c.name for c in discover().of_kind("visualiser")])
@pytest.mark.parametrize(
    ("model", "shape", "classes"),
    [("mlp", (1, 6, 6), 3), ("logistic", (3, 8, 5), 12)],
)
def test_every_visualiser_draws_models_without_convolutions(
    name: str, model: str, shape: tuple[int, int, int], classes: int
) -> None:
    built = discover().find("model", model).function(shape, classes)
    if name == "grad-cam":
        with pytest.raises(MlrunError, match="grad-cam: the model has no convolution"):
            pictures(name, make_view(built, shape, classes))
        return
    found = pictures(name, make_view(built, shape, classes))
    for key, image in found.items():
        assert key.startswith(name)
        assert image.dtype == np.uint8
        assert 60 < image.shape[0] < 1500
        assert 300 < image.shape[1] < 1500
        assert image.std() > 0
    assert found or (name, model) == ("feature-maps", "logistic")


def test_the_pixels_of_a_linear_layer_are_its_weights() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 4), nn.ReLU(), nn.Linear(4, 3))
    view = make_view(model)
    found = pictures("weights", view)
    assert list(found) == ["weights-1"]
    weight = model[1].weight.detach().numpy().reshape(4, 6, 6)
    limit = 0.25
    assert limit / 2 < np.abs(weight).max() <= limit
    image = found["weights-1"]
    size = 96 // 6 * 6  # each image, enlarged; two rows of two
    factor = size // 6
    top = image.shape[0] - SIDE - (2 * size + grids.GAP)
    for unit in range(4):
        row = top + unit // 2 * (size + grids.GAP)
        column = SIDE + unit % 2 * (size + grids.GAP)
        centre = factor // 2
        sampled = image[row : row + size, column : column + size][centre::factor, centre::factor]
        decoded = decode(sampled, -limit, limit, "RdBu_r")
        assert np.abs(decoded - weight[unit]).max() < 2 * (2 * limit / 255)


@pytest.mark.parametrize(
    ("largest", "limit"), [(0.3, 0.5), (0.5, 0.5), (0.51, 1.0), (3.0, 4.0), (0.0, 1.0)]
)
def test_the_scale_ends_at_the_smallest_power_of_two_that_covers(
    largest: float, limit: float
) -> None:
    values = np.array([0.0, -largest, largest / 2, np.nan], dtype=np.float32)
    assert scales.power_of_two(values) == limit


def test_titles_tell_layer_shape_epoch_and_scale() -> None:
    model = convolutional()
    with torch.no_grad():
        model[0].weight.fill_(0.3)
    assert titles("weights", make_view(model)) == {
        "0": "0 weights 4 × 1 × 3 × 3\nepoch 2, scale ±0.5"
    }
    maps = titles("feature-maps", make_view(model))
    assert maps["0"].startswith("0 4 × 6 × 6\nepoch 2, scale ±")
    assert maps["1"].startswith("1 4 × 6 × 6\nepoch 2, scale 0 to ")


def test_any_layer_can_be_named_and_one_without_weights_is_an_error() -> None:
    view = make_view(convolutional())
    assert list(pictures("weights", view, layers=("3", "0"))) == ["weights-3", "weights-0"]
    with pytest.raises(
        MlrunError, match="there is no layer 1 with weights to draw; there are: 0, 3"
    ):
        pictures("weights", view, layers=("1",))
    with pytest.raises(MlrunError, match="cmap nope: matplotlib has no such colour map"):
        pictures("weights", view, cmap="nope")


def test_options_of_weights_shape_the_picture() -> None:
    view = make_view(nn.Sequential(nn.Flatten(), nn.Linear(36, 20)))
    tall, wide = (pictures("weights", view, columns=c)["weights-1"] for c in (2, 10))
    assert tall.shape[0] > tall.shape[1]
    assert wide.shape[1] > wide.shape[0]
    assert "first 5 drawn" in titles("weights", view, most=5)["1"]


def test_a_grid_of_rows_and_columns_draws_what_it_has_room_for() -> None:
    view = make_view(nn.Sequential(nn.Flatten(), nn.Linear(36, 30)))
    side, gap = 60, grids.GAP  # 640 pixels for 10 rows: each pixel of a unit is 10 wide

    def tall(**options: Any) -> np.ndarray:
        return pictures("weights", view, cmap="gray", **options)["weights-1"]

    roomy = tall(rows=10, columns=5)
    below = roomy[-SIDE - 4 * (side + gap) + gap : -SIDE, : 5 * (side + gap)]
    assert (below == 255).all()  # 30 units fill six rows
    last = roomy[-SIDE - 4 * (side + gap) - side : -SIDE - 4 * (side + gap)]
    assert len(np.unique(last[:, SIDE + 4 * (side + gap) :][:side, :side])) > 9
    assert tall(rows=10).shape[1] < tall(rows=3).shape[1]
    assert titles("weights", view, rows=10, columns=5)["1"].startswith("1 weights 30 × 36\n")
    assert "30 × 36, first 20 drawn\n" in titles("weights", view, rows=10, columns=2)["1"]
    assert "30 × 36, first 3 drawn\n" in titles("weights", view, rows=9, columns=2, most=3)["1"]
    for options in ({"rows": 0}, {"columns": -1}, {"most": 0}):
        with pytest.raises(MlrunError, match="rows, columns and most must be at least 1"):
            tall(**options)


def test_the_gaps_do_not_look_like_weights_near_zero() -> None:
    assert {cmap: scales.gap_colour(cmap) for cmap in ("gray", "RdBu_r", "magma", "viridis")} == {
        "gray": 255,
        "RdBu_r": 120,
        "magma": 120,
        "viridis": 120,
    }


def test_kernels_of_several_channels_keep_their_units_together() -> None:
    view = make_view(nn.Sequential(nn.Conv2d(4, 8, 3), nn.Flatten(), nn.Linear(7, 5)))
    said = {
        (2, 4): ", first 2 drawn",
        (None, 4): "",
        (2, None): ", 4 units a row, 4 channels each",
        (1, 2): ", first 1 drawn, first 2 input channels drawn",
    }
    for (rows, columns), text in said.items():
        told = titles("weights", view, layers=("0",), rows=rows, columns=columns)
        assert told["0"].startswith(f"0 weights 8 × 4 × 3 × 3{text}\n")
    matrix = [
        pictures("weights", view, layers=("2",), **options)["weights-2"]
        for options in ({}, {"rows": 4, "columns": 9})
    ]
    assert np.array_equal(*matrix)


def test_units_side_by_side_are_set_apart_in_their_order() -> None:
    squares = [np.full((4, 4, 3), shade, dtype=np.uint8) for shade in range(10, 20)]
    made = by_unit(squares, channels=2, columns=4, rows=3, gap=120)  # five units, two a row
    wide, high = 4 + grids.GAP, 4 + grids.GAP
    second = 2 * wide - grids.GAP + APART  # where the second unit of a row starts
    for unit in range(5):
        for channel in range(2):
            left = unit % 2 * second + channel * wide
            cell = made[unit // 2 * high :, left:][:4, :4]
            assert (cell == 10 + 2 * unit + channel).all()
    assert (made[:, 2 * wide - grids.GAP : second] == 255).all()
    one = by_unit(squares[:2], channels=2, columns=4, rows=1, gap=120)  # fewer units than room
    assert one.shape == (4, 2 * wide - grids.GAP, 3)


def test_weights_between_the_least_and_the_largest_drawn_fill_the_colour_map() -> None:
    view = make_view(nn.Sequential(nn.Flatten(), nn.Linear(36, 4)))
    weight = view.model[1].weight.detach().numpy()
    options = {"rows": 1, "columns": 2, "scale": "min-max", "cmap": "gray"}
    low, high = weight[:2].min(), weight[:2].max()
    told = titles("weights", view, **options)["1"]
    assert told.endswith(f"epoch 2, scale {low:.3g} to {high:.3g} (min–max)")
    image = pictures("weights", view, **options)["weights-1"]
    for unit in range(2):
        left = SIDE + unit * (96 + grids.GAP)
        cell = image[-SIDE - 96 : -SIDE, left : left + 96][8::16, 8::16]
        decoded = decode(cell, low, high, "gray")
        assert np.abs(decoded - weight[unit].reshape(6, 6)).max() < 2 * (high - low) / 255


def test_eight_layers_spread_to_the_last_are_drawn_unless_named_and_the_rest_is_told() -> None:
    deep = nn.Sequential(*(nn.Conv2d(1, 1, 1) for _ in range(10)), nn.Flatten(), nn.Linear(36, 3))
    view = make_view(deep)
    spread = [f"feature-maps-{layer}" for layer in (0, 1, 2, 3, 4, 6, 7, 9)]
    assert list(pictures("feature-maps", view)) == spread
    assert view.notes == ["left out 5, 8; name layers with --feature-maps.layers"]
    assert len(pictures("weights", view)) == 8
    assert view.notes[1] == "left out 5, 8; name layers with --weights.layers"
    named = tuple(str(number) for number in range(10))
    assert len(pictures("feature-maps", view, layers=named)) == 10


def test_a_picture_is_wide_enough_for_its_title_and_no_wider_than_a_screen() -> None:
    deep = nn.Sequential(OrderedDict(a_block_of_a_network_s_own_name=nn.Conv2d(64, 64, 3)))
    for figure in figures("weights", make_view(deep)).values():
        box = figure.texts[0].get_window_extent(FigureCanvasAgg(figure).get_renderer())
        assert box.x1 <= figure.bbox.x1
    wide = nn.Sequential(nn.Flatten(), nn.Linear(36, 4096), nn.ReLU(), nn.Linear(4096, 3))
    assert pictures("feature-maps", make_view(wide))["feature-maps-2"].shape[1] < 1400
    large = make_view(nn.Sequential(nn.Conv2d(1, 12, 1)), (1, 8, 600))
    assert pictures("feature-maps", large)["feature-maps-0"].shape[1] < 1400


def test_a_note_lists_only_some_of_many_layers() -> None:
    view = make_view(nn.Sequential(*(nn.Conv2d(1, 1, 1) for _ in range(40))))
    assert list(pictures("weights", view))[-1] == "weights-39"
    told = "left out 4, 5, 6, 7, 8, 9 and 26 more; name layers with --weights.layers"
    assert view.notes == [told]


def test_the_confusion_matrix_counts_true_rows_and_predicted_columns() -> None:
    view = make_view(convolutional())
    figure: Figure = figures("confusion-matrix", view)[""]
    axes = figure.axes[0]
    counts = view.predictions.confusion.numpy()
    written = {
        (int(text.get_position()[1]), int(text.get_position()[0])): int(text.get_text())
        for text in axes.texts
    }
    assert written == {(i, j): counts[i, j] for i in range(3) for j in range(3)}
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("true", "predicted")
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["a", "b", "c"]
    assert axes.get_title().startswith("test, epoch 2: accuracy 0.")


def test_learning_curves_draw_the_history() -> None:
    figure: Figure = figures("learning-curves", make_view(convolutional()))[""]
    lines = {line.get_label(): line.get_xydata().tolist() for line in figure.axes[0].lines}
    assert lines == {"train": [[0, 1.0], [1, 0.5]], "val": [[0, 1.0], [1, 0.6]]}


def test_long_names_leave_the_confusion_matrix_its_room() -> None:
    found = SimpleNamespace(
        confusion=torch.tensor([[9, 1], [2, 7]]), part="val", accuracy=0.5, labels=range(19)
    )
    names = ("a folder's name of forty and more characters", "b")
    view = SimpleNamespace(predictions=found, classes=names, epoch=4)
    figure = figures("confusion-matrix", view)[""]
    pixels(figure)  # lays it out
    axes = figure.axes[0]
    assert axes.get_window_extent().width > 0.4 * figure.bbox.width
    assert "…" in axes.get_xticklabels()[0].get_text()
