"""A colour limit that is given: what lies within has its colour, what lies beyond is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from drawn import decode, pictures, titles
from mlrun_visualisers.canvas import grids
from mlrun_visualisers.canvas.captions import SIDE, TOP
from mlrun_visualisers.networks.outputs import BETWEEN, TEXT
from torch import nn
from views import convolutional, make_view

from mlrun import MlrunError
from mlrun.seam.registry import discover


def linear() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 4))


def test_weights_within_a_limit_keep_their_value_and_those_beyond_have_the_end_s_colour() -> None:
    view = make_view(linear())
    weight = view.model[1].weight.detach().numpy().reshape(4, 6, 6)
    limit, side, factor = 0.1, 96, 16
    image = pictures("weights", view, limit=limit, cmap="gray")["weights-1"]
    top = image.shape[0] - SIDE - (2 * side + grids.GAP)
    for unit in range(4):
        row = top + unit // 2 * (side + grids.GAP)
        left = SIDE + unit % 2 * (side + grids.GAP)
        cells = image[row : row + side, left : left + side][8::factor, 8::factor]
        decoded = decode(cells, -limit, limit, "gray")
        assert np.abs(decoded - weight[unit].clip(-limit, limit)).max() < 2 * (2 * limit / 255)
    beyond = int((np.abs(weight) > limit).sum())
    assert beyond > 9
    assert titles("weights", view, limit=limit)["1"].endswith(f"scale ±0.1, {beyond} beyond")
    assert titles("weights", view, limit=3.0)["1"].endswith("scale ±3")
    some = int((np.abs(weight[:2]) > limit).sum())
    assert titles("weights", view, limit=limit, most=2)["1"].endswith(f"±0.1, {some} beyond")


def test_weights_under_one_limit_line_up_whatever_they_are() -> None:
    small, large = make_view(linear()), make_view(linear())
    with torch.no_grad():
        large.model[1].weight[1:].mul_(40)
    same = [pictures("weights", view, limit=0.25)["weights-1"] for view in (small, large)]
    side = 96
    top = same[0].shape[0] - SIDE - (2 * side + grids.GAP)
    first = [one[top : top + side, SIDE : SIDE + side] for one in same]
    assert np.array_equal(*first)
    free = [pictures("weights", view)["weights-1"] for view in (small, large)]
    assert not np.array_equal(*(one[top : top + side, 12 : 12 + side] for one in free))


def test_maps_end_at_the_limit() -> None:
    view = make_view(convolutional())
    options = {"layers": ("1",), "images": 1, "channels": 1, "limit": 0.5, "cmap": "gray"}
    (image,) = pictures("feature-maps", view, **options).values()
    maps = view.activations(["1"], view.probes[:1])["1"][0][0, 0].numpy()
    side, factor = 96, 16
    cells = image[-SIDE - side : -SIDE, SIDE + side + 8 :][:, :side]
    decoded = decode(cells[8::factor, 8::factor], 0, 0.5, "gray")
    assert np.abs(decoded - maps.clip(0, 0.5)).max() < 2 * 0.5 / 255
    beyond = int((maps > 0.5).sum())
    assert beyond >= 3
    assert titles("feature-maps", view, **options)["1"].endswith(f"scale 0 to 0.5, {beyond} beyond")
    signed = titles("feature-maps", view, layers=("0",), limit=9.0)["0"]
    assert signed.endswith("epoch 2, scale ±9")


def test_every_row_of_layer_outputs_ends_at_the_limit() -> None:
    view = make_view(convolutional())
    draw = discover().find("visualiser", "layer-outputs").function
    *rows, title = (text.get_text() for text in draw(view, limit=0.5).image.texts)
    outputs = view.activations(["0", "1", "3"], view.probes[:1])
    beyond = [int((outputs[name][0].abs() > 0.5).sum()) for name in ("0", "1", "3")]
    ends = [text.split("\n")[-1] for text in rows[1:]]
    told = [f", {count} beyond" if count else "" for count in beyond]
    assert ends[:2] == [f"±0.5{told[0]}", f"0 to 0.5{told[1]}"]
    assert ends[2].endswith(f"0.5{told[2]}")
    assert title.endswith("epoch 2, every scale up to 0.5")
    (image,) = pictures("layer-outputs", view, layers=("1",), limit=0.5, cmap="gray").values()
    maps = outputs["1"][0][0].numpy()
    side = 54  # six pixels of nine
    top = TOP + SIDE + 108 + BETWEEN
    left = SIDE + TEXT[0] + BETWEEN
    cells = image[top : top + side, left : left + side][4::9, 4::9]
    decoded = decode(cells, 0, 0.5, "gray")
    assert np.abs(decoded - maps[0].clip(0, 0.5)).max() < 2 * 0.5 / 255


@pytest.mark.parametrize("name", ["weights", "feature-maps"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 0.0}, "limit 0; expected a number above 0"),
        ({"limit": float("nan")}, "limit nan; expected a number above 0"),
        ({"limit": 2.0, "scale": "min-max"}, "limit 2 fixes the scale, and scale is min-max"),
    ],
)
def test_limits_that_make_no_scale_are_refused(
    name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(MlrunError, match=f"^{name}: {message}"):
        pictures(name, make_view(linear()), **options)
