"""The outputs of each layer for one image: every row is what its layer puts out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from drawn import decode, figures, pictures
from mlrun_visualisers.canvas import grids, scales
from mlrun_visualisers.canvas.captions import SIDE, TOP
from torch import Tensor, nn
from views import deep, make_view, probe

from mlrun import MlrunError, View

BEFORE = SIDE + 120 + 10  # pixels: where rows with short texts start


def texts(view: View, **options: Any) -> list[str]:
    figure = figures("layer-outputs", view, **options)[""]
    return [text.get_text() for text in figure.texts]


def row(shown: np.ndarray, top: int, height: int) -> np.ndarray:
    first = TOP + SIDE + top
    return shown[first : first + height, BEFORE:-SIDE]


def test_the_pixels_of_a_row_are_the_outputs_of_its_layer_for_the_image() -> None:
    view = make_view(deep())
    options = {"image": 1, "layers": ("3", "7"), "channels": 4, "cmap": "gray"}
    (shown,) = pictures("layer-outputs", view, **options).values()
    found = view.activations(["3", "7"], view.probes[1:2])
    maps, units = found["3"][0][0, :4].numpy(), found["7"][0][0].numpy()
    side = 19 * 3  # a map of three pixels, each 19 wide
    limit = scales.power_of_two(maps)
    strip = row(shown, 108 + 10, side)  # the image of six pixels is 108 high
    for channel in range(4):
        left = channel * (side + grids.GAP)
        decoded = decode(strip[:, left : left + side][9::19, 9::19], -limit, limit, "gray")
        assert np.abs(decoded - maps[channel]).max() < 4 * limit / 255
    limit = scales.power_of_two(units)
    low = -limit if units.min() < 0 else 0
    cells = row(shown, 108 + 10 + side + 10, 40)[20:21, 80:498:166]
    decoded = decode(cells, low, limit, "gray")[0]
    assert np.abs(decoded - units).max() < 4 * limit / 255
    image = row(shown, 0, 108)[9::18, 9:108:18, 0].astype(int)
    assert np.abs(image - view.probes[1, 0].numpy()).max() <= 1  # a colour map rounds


def test_each_row_tells_layer_shape_and_scale() -> None:
    view = make_view(deep())
    *rows, title = texts(view, image=2, channels=4)
    assert rows[0] == "image\n1 × 6 × 6"
    assert [text.split("\n")[0] for text in rows[1:]] == ["0", "1", "2", "3", "4", "5", "7"]
    assert rows[1].startswith("0\n8 × 6 × 6, first 4\n±")
    assert rows[2].startswith("1\n8 × 6 × 6, first 4\n0 to ")
    assert rows[7].startswith("7\n3\n")
    assert title == "outputs of each layer for probe image 2, c\nepoch 2, a scale a row"


def test_a_photograph_is_followed_as_far_as_the_model_goes() -> None:
    view = make_view(deep(), probe=probe())
    *rows, title = texts(view)
    assert [text.split("\n")[0] for text in rows[1:]] == ["0", "1", "2", "3", "4", "5"]
    assert title.startswith("outputs of each layer for a photo.png\n")
    assert view.notes[0].startswith("left out 7: the model takes 6 × 6 pixels and fails on 9 × 11")
    with pytest.raises(MlrunError, match="layer 7 is not reached"):
        texts(view, layers=("7",))


def test_sixteen_layers_spread_to_the_last_are_drawn_unless_named() -> None:
    many = nn.Sequential(*(nn.Conv2d(1, 1, 1) for _ in range(19)), nn.Dropout(), nn.Flatten())
    view = make_view(nn.Sequential(many, nn.Linear(36, 3)))
    names = [text.split("\n")[0] for text in texts(view)[1:-1]]
    assert len(names) == 16
    assert (names[:3], names[-1]) == (["0.0", "0.1", "0.2"], "1")
    assert view.notes[0].endswith("; name layers with --layer-outputs.layers")
    assert pictures("layer-outputs", view)["layer-outputs"].shape[0] < 1500


def test_a_layer_that_is_used_twice_has_two_rows_and_odd_outputs_are_told() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act, self.mix = nn.ReLU(), nn.Softmax(0)

        def forward(self, x: Tensor) -> Tensor:
            x = self.act(self.act(x) - 1).flatten(1)
            self.mix(x.flatten())
            return x[:, :3]

    view = make_view(Odd())
    assert [text.split("\n")[0] for text in texts(view)[1:-1]] == ["act", "act call 2"]
    reason = "mix puts out (36,); expected one image's units or maps"
    assert view.notes == [f"left out {reason}"]
    with pytest.raises(MlrunError, match=r"layer-outputs: mix puts out \(36,\)"):
        texts(view, layers=("mix",))


def test_a_model_of_one_module_has_one_row() -> None:
    class Alone(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1)[:, :3]

    assert [text.split("\n")[0] for text in texts(make_view(Alone()))[:-1]] == ["image", "model"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image": 3}, "layer-outputs: image 3; expected 0 to 2, a probe image's place"),
        ({"image": -1}, "layer-outputs: image -1; expected 0 to 2"),
        ({"layers": ("8",)}, "unknown layer 8"),
    ],
)
def test_options_that_make_no_picture_are_refused(options: dict[str, Any], message: str) -> None:
    torch.manual_seed(0)
    with pytest.raises(MlrunError, match=message):
        texts(make_view(deep()), **options)
