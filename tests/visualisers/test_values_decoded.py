"""Pictures of the data and of results, decoded pixel by pixel, are the raw values behind them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from drawn import decode, drawings_of, figures
from mlrun_visualisers.canvas.captions import LINE, SIDE, TOP
from mlrun_visualisers.canvas.figures import BETWEEN, LARGEST
from runs import QUICK, artifacts_of
from sklearn.metrics import confusion_matrix
from views import convolutional, make_view

import mlrun
from mlrun import View
from mlrun.inside.drawing.draw import Drawing
from mlrun.inside.drawing.rendering import pixels, unpacked


def picture_of(name: str, view: View, **options: Any) -> tuple[np.ndarray, Drawing]:
    """The first picture of a visualiser, uint8 (H, W, 3), and what came with it."""
    drawing = drawings_of(name, view, **options)[0]
    assert isinstance(drawing.content, bytes)
    return unpacked(drawing.content), drawing


def tiles_of(image: np.ndarray, count: int, columns: int) -> np.ndarray:
    """The images of 6 × 6 pixels in a grid with one line of text below each, not enlarged."""
    size, factor, head = 6, 16, TOP - LINE
    side, down = size * factor, size * factor + LINE + BETWEEN
    left = SIDE + (LARGEST + BETWEEN - side) // 2
    found = []
    for place in range(count):
        row, column = divmod(place, columns)
        corner = image[head + row * down :, left + column * (LARGEST + BETWEEN) :]
        squares = corner[:side, :side].reshape(size, factor, size, factor, 3)
        assert (squares == squares[:, :1, :, :1]).all()
        found.append(squares[:, 0, :, 0])
    return np.array(found)


@pytest.mark.parametrize("name", ["confusion-matrix", "confusion-by-epoch"])
def test_the_cells_of_a_confusion_matrix_decode_to_its_counts(name: str) -> None:
    view = make_view(convolutional())
    part = "test" if name == "confusion-matrix" else "val"
    image, drawing = picture_of(name, view)
    counts = drawing.values["counts"]
    found = view.evaluation(part)
    assert counts.dtype == np.int64
    assert np.array_equal(counts, confusion_matrix(found.labels, found.predicted))
    (figure,) = figures(name, view).values()
    pixels(figure)
    corners = np.indices(counts.shape).reshape(2, -1).T[:, ::-1] - 0.35  # beside the count
    places = figure.axes[0].transData.transform(corners).astype(int)
    shown = np.array([image[len(image) - 1 - y, x] for x, y in places])
    largest = counts.sum(1).max()
    decoded = decode(shown.reshape(3, 3, 3), 0, largest, "Blues")
    assert np.abs(decoded - counts).max() < 2 * largest / 255
    assert len(np.unique(counts)) > 3


@pytest.mark.parametrize(("classes", "columns"), [(3, 2), (9, 3)])
def test_the_tiles_of_class_means_are_the_means_to_the_nearest_grey(
    classes: int, columns: int
) -> None:
    view = make_view(convolutional(), classes=classes)
    image, drawing = picture_of("class-means", view)
    means = drawing.values["means"]
    assert means.shape == (classes, 1, 6, 6)
    labels = view.labels("train").numpy()
    for label in range(classes):
        theirs = view.images("train").numpy()[labels == label].mean(0)
        np.testing.assert_allclose(means[label], theirs)
    drawn = tiles_of(image, classes, columns)
    expected = means[:, 0, :, :, None].round().repeat(3, -1)
    assert np.array_equal(drawn, expected)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("pick", ["random", "first"])
def test_the_tiles_of_samples_are_the_images_exactly(channels: int, pick: str) -> None:
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(channels * 36, 3))
    view = make_view(model, (channels, 6, 6))
    image, drawing = picture_of("samples", view, rows=2, columns=4, pick=pick)
    images, labels = drawing.values["images"], drawing.values["labels"]
    assert (images.dtype, images.shape) == (np.uint8, (8, channels, 6, 6))
    drawn = tiles_of(image, 8, 4)
    assert np.array_equal(drawn, images.transpose(0, 2, 3, 1).repeat(3 // channels, -1))
    names = [text.get_text() for text in figures("samples", view, rows=2, pick=pick)[""].texts]
    assert names[:4] == [view.classes[label] for label in labels[:4]]
    everything = {one.tobytes(): label for one, label in whole(view, "train")}
    assert [everything[one.tobytes()] for one in images] == labels.tolist()


def whole(view: View, part: str) -> list[tuple[np.ndarray, int]]:
    """All images of a part with their labels."""
    return list(zip(view.images(part).numpy(), view.labels(part).tolist(), strict=True))


@pytest.mark.parametrize("size", [3, 5])
def test_kernels_and_responses_decode_to_their_values(size: int) -> None:
    view = make_view(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(480, 3)), (1, 20, 24))
    image, drawing = picture_of("kernels", view, images=2, size=size)
    kernels, responses = drawing.values["kernels"], drawing.values["responses"]
    assert kernels.shape == (4, size, size)
    assert responses.shape == (2, 4, 21 - size, 25 - size)
    limit = 2.0 ** np.ceil(np.log2(np.quantile(np.abs(responses), 0.99)))
    factor, across, down, border = 4, 24 * 4 + 8, 20 * 4 + 8, size // 2
    top = image.shape[0] - SIDE - 2 * down + 8
    enlarged = 60 // size
    for column in range(4):
        left = SIDE + (column + 1) * across
        head = image[top - 8 - 60 :, left:][: size * enlarged, : size * enlarged]
        decoded = decode(
            head[enlarged // 2 :: enlarged, enlarged // 2 :: enlarged], -1, 1, "RdBu_r"
        )
        assert np.abs(decoded - kernels[column]).max() < 2 * (2 / 255)
        for row in range(2):
            cell = image[top + row * down :, left:][:80, :96][2::factor, 2::factor]
            decoded = decode(cell[border:-border, border:-border], -limit, limit, "RdBu_r")
            expected = responses[row, column].clip(-limit, limit)
            assert np.abs(decoded - expected).max() < 2 * (2 * limit / 255)


def test_the_dots_of_an_embedding_lie_at_its_points_in_the_colours_of_its_labels() -> None:
    view = make_view(convolutional())
    values = picture_of("embedding", view)[1].values
    right, wrong = figures("embedding", view)[""].axes[0].collections
    missed = values["labels"] != values["predicted"]
    for dots, some in ((right, ~missed), (wrong, missed)):
        np.testing.assert_array_equal(dots.get_offsets(), values["points"][some])
        colours = matplotlib.colormaps["tab10"](values["labels"][some])
        np.testing.assert_array_equal(dots.get_facecolors(), colours)
    found = view.evaluation("test")
    places = [found.indices.tolist().index(index) for index in values["indices"]]
    assert values["predicted"].tolist() == found.predicted[places].tolist()


def test_bars_and_curves_are_as_high_as_their_values() -> None:
    view = make_view(convolutional())
    counts = picture_of("class-distribution", view)[1].values
    assert list(counts) == ["counts-train", "counts-val", "counts-test"]
    for axes, heights in zip(
        figures("class-distribution", view)[""].axes, counts.values(), strict=True
    ):
        assert [bar.get_height() for bar in axes.patches] == heights.tolist()
    curves = picture_of("learning-curves", view)[1].values
    assert {name: curve.tolist() for name, curve in curves.items()} == {
        name.replace("/", "-"): [list(pair) for pair in pairs]
        for name, pairs in view.history.items()
    }
    view.steps = {"step/loss": [(3, 0.5)], "step/val-accuracy": [(3, 0.25)], "step/lr": [(1, 0.1)]}
    steps = picture_of("learning-curves", view, by="step")[1].values
    assert {name: curve.tolist() for name, curve in steps.items()} == {
        "step-loss": [[3, 0.5]],
        "step-val-accuracy": [[3, 0.25]],
    }


def test_the_values_of_the_mistakes_are_those_of_the_evaluation() -> None:
    view = make_view(convolutional())
    values = picture_of("misclassified", view, count=6)[1].values
    found = view.evaluation("test")
    assert values["probabilities"].shape == (6, 3)
    for index, label, chances in zip(
        values["indices"], values["labels"], values["probabilities"], strict=True
    ):
        place = found.indices.tolist().index(index)
        assert found.labels[place] == label != chances.argmax()
        np.testing.assert_allclose(chances, found.logits[place].softmax(0), rtol=1e-5)
    surest = values["probabilities"].max(1)
    assert (np.diff(surest) <= 0).all()


def test_a_run_keeps_the_values_of_its_end(store: str) -> None:
    names = "confusion-matrix,learning-curves,confusion-by-epoch,class-distribution"
    run = mlrun.train({**QUICK, "visualisers": names})
    folder: Path = artifacts_of(run.run_id)
    with (
        np.load(folder / "values/end.npz") as end,
        np.load(folder / "predictions/test.npz") as test,
    ):
        counts = confusion_matrix(test["labels"], test["logits"].argmax(1))
        assert np.array_equal(end["confusion-matrix/counts"], counts)
        assert end["learning-curves/val-loss"].shape == (2, 2)
        assert end["learning-curves/train-loss"][-1, 1] == run.metrics["train/loss"]
        assert end["class-distribution/counts-test"].sum() == len(test["labels"])
    with np.load(folder / "values/epoch-0001.npz") as epoch:
        counts = epoch["confusion-by-epoch-val/counts"]
    assert np.trace(counts) / counts.sum() == pytest.approx(run.metrics["val/accuracy"])
