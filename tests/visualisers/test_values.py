"""The pictures that a run logged, decoded pixel by pixel, are the raw values that it kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from drawn import decode, drawings_of, titles
from mlrun_visualisers.canvas import grids, scales
from mlrun_visualisers.canvas.captions import SIDE
from PIL import Image
from runs import artifacts_of
from views import convolutional, make_view

import mlrun

SETTINGS: dict[str, object] = {
    "model": "cnn",
    "model.channels": "8",
    "epochs": 2,
    "lr": 0.01,
    "visualisers": "weights,feature-maps,layer-outputs",
    "weights.columns": 4,
    "feature-maps.images": 3,
    "feature-maps.channels": 5,
    "feature-maps.cmap": "gray",
    "log_model": False,
}


@pytest.fixture
def run(store: str) -> Path:
    return artifacts_of(mlrun.train(SETTINGS).run_id)


def picture(run: Path, key: str, epoch: int) -> np.ndarray:
    (path,) = (run / "images").glob(f"{key}+step+{epoch}+*.png")
    return np.asarray(Image.open(path))


def values(run: Path, epoch: int, name: str) -> np.ndarray:
    with np.load(run / f"values/epoch-{epoch:04}.npz", allow_pickle=False) as arrays:
        found: np.ndarray = arrays[name]
        return found


def cells(image: np.ndarray, rows: int, columns: int, size: int, left: int = 0) -> np.ndarray:
    """The cells of a grid at the foot of a picture: (rows, columns, size, size, 3)."""
    apart = size + grids.GAP
    canvas = image[image.shape[0] - SIDE - rows * apart + grids.GAP :, SIDE + left :]
    return np.array(
        [
            [canvas[row * apart :, column * apart :][:size, :size] for column in range(columns)]
            for row in range(rows)
        ]
    )


def nearest(
    drawn: np.ndarray, shape: tuple[int, int], low: float, high: float, cmap: str
) -> object:
    """The values of one cell, whose pixels are squares of one colour."""
    factor = len(drawn) // shape[0]
    squares = drawn.reshape(shape[0], factor, shape[1], factor, 3)
    assert (squares == squares[:, :1, :, :1]).all()
    return decode(squares[:, 0, :, 0], low, high, cmap)


def test_drawn_weights_decode_to_the_values_that_were_kept(run: Path) -> None:
    for epoch in range(3):
        kept = values(run, epoch, "weights-conv1/weights")
        assert kept.shape == (8, 1, 3, 3)
        limit = scales.power_of_two(kept)
        drawn = cells(picture(run, "weights-conv1", epoch), 2, 4, 96).reshape(8, 96, 96, 3)
        for unit, one in zip(kept[:, 0], drawn, strict=True):
            decoded = nearest(one, (3, 3), -limit, limit, "RdBu_r")
            assert np.abs(decoded - unit).max() < 2 * (2 * limit / 255)
    assert (kept != values(run, 1, "weights-conv1/weights")).any()


def test_the_weights_that_were_kept_are_those_of_the_checkpoint(run: Path) -> None:
    (best,) = (run / "checkpoints").glob("epoch-2.pt")
    weights = torch.load(best, weights_only=True)["model"]["conv1.weight"]
    np.testing.assert_array_equal(values(run, 2, "weights-conv1/weights"), weights)


def test_drawn_feature_maps_decode_to_the_values_that_were_kept(run: Path) -> None:
    for epoch in (0, 2):
        kept = values(run, epoch, "feature-maps-act1/maps")
        assert kept.shape == (3, 5, 8, 8)
        limit = scales.power_of_two(kept)
        image = picture(run, "feature-maps-act1", epoch)
        maps = cells(image, 3, 5, 40, left=40 + 8)
        for place in np.ndindex(3, 5):
            decoded = nearest(maps[place], (8, 8), 0, limit, "gray")
            assert np.abs(decoded - kept[place]).max() < 2 * (limit / 255)
        probes = values(run, epoch, "feature-maps-act1/images")
        shown = cells(image, 3, 1, 40)[:, 0, ::5, ::5]
        np.testing.assert_array_equal(shown, probes[:, 0, :, :, None].repeat(3, -1))


def test_every_row_of_layer_outputs_is_kept(run: Path) -> None:
    with np.load(run / "values/epoch-0001.npz") as arrays:
        kept = [name for name in arrays if name.startswith("layer-outputs/")]
        assert kept[0] == "layer-outputs/image"
        assert {"layer-outputs/00-conv1", "layer-outputs/02-pool1"} <= set(kept)
        maps = values(run, 1, "feature-maps-conv1/maps")
        # one image here, three there: a convolution over another number of images rounds otherwise
        np.testing.assert_allclose(
            arrays["layer-outputs/00-conv1"][:5], maps[0], rtol=1e-5, atol=1e-6
        )


def test_the_values_of_a_view_are_what_its_titles_say() -> None:
    view = make_view(convolutional())
    (first, *_) = drawings_of("weights", view)
    assert titles("weights", view)["0"].startswith("0 weights 4 × 1 × 3 × 3\n")
    assert first.values["weights"].shape == (4, 1, 3, 3)
