"""Feature maps as a grid: what is drawn is what the layer puts out, at a sensible size."""

from __future__ import annotations

import numpy as np
import pytest
from drawn import decode, pictures, titles
from mlrun_visualisers.canvas import grids, scales
from mlrun_visualisers.canvas.captions import SIDE
from mlrun_visualisers.canvas.figures import BAR
from mlrun_visualisers.networks.maps import LARGE, Look
from torch import nn
from views import deep, make_view, probe

from mlrun import MlrunError, View
from mlrun.data.probe import Probe

GREY = {"scale": "min-max", "cmap": "gray"}


def view_of(model: nn.Module, image: Probe | None = None) -> View:
    return make_view(model, probe=image)


@pytest.mark.parametrize("layer", ["0", "2"])
def test_the_pixels_of_a_grid_are_the_maps_between_the_least_and_the_largest(layer: str) -> None:
    view = view_of(deep(), probe())
    (found,) = pictures("feature-maps", view, layers=(layer,), columns=4, **GREY).values()
    (output,) = view.activations([layer], view.probes)[layer]
    values = output[0].numpy()
    height, width = values.shape[1:]
    factor = round(LARGE / width)
    down, across = height * factor + grids.GAP, width * factor + grids.GAP
    first = found.shape[0] - SIDE - (2 * down - grids.GAP)
    before = found.shape[1] - SIDE - BAR - (4 * across - grids.GAP)
    low, high = values.min(), values.max()
    for channel in range(8):
        top, left = first + channel // 4 * down, before + channel % 4 * across
        cell = found[top : top + height * factor, left : left + width * factor]
        sampled = cell[factor // 2 :: factor, factor // 2 :: factor]
        decoded = decode(sampled, low, high, "gray")
        assert np.abs(decoded - values[channel]).max() < 2 * (high - low) / 255


def test_the_title_tells_layer_shape_what_is_drawn_scale_and_probe() -> None:
    view = view_of(deep(), probe())
    told = titles("feature-maps", view, layers=("1", "5"), channels=4)
    assert list(told) == ["1", "5"]
    shape, about = told["5"].split("\n")
    assert shape == "5 8 × 2 × 2, first 4 drawn"
    assert about.startswith("epoch 2, scale 0 to ")
    assert about.endswith(", probe a photo.png 9 × 11")
    told = titles("feature-maps", view, layers=("0",), **GREY)
    assert told["0"].endswith(" (min–max), probe a photo.png 9 × 11")
    assert "probe" not in titles("feature-maps", view_of(deep()), layers=("0",))["0"]


def test_many_large_maps_make_a_grid_about_1200_wide() -> None:
    view = view_of(deep(64, stride=4), probe(424, 636))
    (output,) = view.activations(["0"], view.probes)["0"]
    assert output.shape == (1, 64, 106, 159)
    for columns in (8, None):
        shown = pictures("feature-maps", view, layers=("0",), channels=64, columns=columns)
        height, width = shown["feature-maps-0"].shape[:2]
        assert 1100 < width < 1350
        assert 600 < height < 900
    tall = pictures("feature-maps", view, layers=("0",), channels=64, columns=1)
    assert tall["feature-maps-0"].shape[0] < 1500


def test_defaults_after_the_failure_are_left_out_and_a_named_one_is_an_error() -> None:
    model = nn.Sequential(*deep(), nn.ReLU())
    view = view_of(model, probe())
    assert list(pictures("feature-maps", view)) == [f"feature-maps-{n}" for n in (0, 1, 3, 4)]
    assert [note[:13] for note in view.notes] == ["left out 8: t"]
    with pytest.raises(MlrunError, match="layer 8 is not reached: the model takes 6 × 6 pixels"):
        pictures("feature-maps", view, layers=("8",))


@pytest.mark.parametrize(
    ("columns", "maps", "images", "expected"),
    [(None, 64, 1, 8), (None, 12, 1, 4), (None, 5, 1, 3), (None, 1, 1, 1), (None, 12, 6, 12),
     (None, 64, 6, 22), (5, 64, 1, 5), (5, 3, 1, 3), (5, 64, 6, 5)],
)  # fmt: skip
def test_maps_in_a_row_are_those_asked_for_or_what_looks_best(
    columns: int | None, maps: int, images: int, expected: int
) -> None:
    look = Look(channels=99, columns=columns, scale="min-max", limit=None, cmap="gray")
    assert look.in_a_row(maps, images) == expected


def test_a_scale_covers_what_is_drawn() -> None:
    values = np.array([-0.3, 0.1, np.nan, 3.0], dtype=np.float32)
    assert scales.limits(values, "power-of-two", signed=True) == (-4, 4, "±4")
    assert scales.limits(values[1:], "power-of-two", signed=False) == (0, 4, "0 to 4")
    low, high, about = scales.limits(values, "min-max", signed=True)
    assert (low, high) == pytest.approx((-0.3, 3.0))
    assert about == "-0.3 to 3 (min–max)"
    assert scales.limits(values[1:2] * 0, "min-max", signed=True)[:2] == (0, 1)
    assert scales.limits(values[2:3], "min-max", signed=False)[:2] == (0, 1)
