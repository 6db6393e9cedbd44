"""What every visualiser keeps, whoever wrote it, and the numbers in those of the data."""

from __future__ import annotations

import pkgutil
import re
from typing import Any

import mlrun_visualisers
import numpy as np
import pytest
import torch
from drawn import contents, drawings_of, drawn, figures
from mlrun_visualisers.canvas.captions import shortened, text_width
from mlrun_visualisers.canvas.figures import captioned
from mlrun_visualisers.canvas.grids import tile
from mlrun_visualisers.embeddings.projection import FEWEST
from mlrun_visualisers.images.classes import class_means_of, counts_of
from mlrun_visualisers.results.mistakes import surest_mistakes
from torch import nn
from views import make_view

from mlrun import MlrunError, View
from mlrun.data.probe import load_probe
from mlrun.seam.registry import discover
from mlrun.settings.plan import plan_of

VISUALISERS = [component.name for component in discover().of_kind("visualiser")]
BY_EPOCH = [c.name for c in discover().of_kind("visualiser") if "epoch" in c.when]
DATA = {
    "rgb": ((3, 8, 5), 3),
    "two classes": ((1, 6, 6), 2),
    "twelve classes": ((3, 6, 6), 12),
    "one pixel high": ((1, 1, 9), 3),
    "larger than its place": ((3, 120, 100), 3),
}
SLOW = ("two classes", "larger than its place")


def tiny(shape: tuple[int, int, int], classes: int) -> View:
    torch.manual_seed(0)
    channels, height, width = shape
    model = nn.Sequential(
        nn.Conv2d(channels, 4, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4 * height * width, classes),
    )
    return make_view(model, shape, classes)


def test_no_module_takes_the_place_of_a_visualiser() -> None:
    """An imported module becomes an attribute of its package, as the function is."""
    modules = pkgutil.walk_packages(mlrun_visualisers.__path__, "mlrun_visualisers.")
    functions = {name.replace("-", "_") for name in VISUALISERS}
    assert not [name for _, name, _ in modules if name.rpartition(".")[2] in functions]


@pytest.mark.parametrize(
    "data", [pytest.param(data, marks=[pytest.mark.slow] * (data in SLOW)) for data in DATA]
)
@pytest.mark.parametrize("name", VISUALISERS)
def test_a_visualiser_draws_pictures_that_show_something_and_keeps_their_values(
    name: str, data: str
) -> None:
    view = tiny(*DATA[data])
    drawings = drawings_of(name, view)
    found = contents(drawings)
    assert found
    assert all(made.values for made in drawings if not isinstance(made.content, dict))
    assert not [note for note in view.notes if "not kept" in note]
    for key, picture in found.items():
        assert key.startswith(name)
        if isinstance(picture, dict):
            assert {len(cells) for cells in picture.values()} not in ({0}, set())
            continue
        assert picture.dtype == np.uint8
        assert picture.shape[2] == 3
        assert 60 < picture.shape[0] < 1500
        assert 300 < picture.shape[1] < 1500
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 2


@pytest.mark.parametrize("name", VISUALISERS)
def test_a_visualiser_draws_the_same_again(name: str) -> None:
    found, again = (drawn(name, tiny((1, 6, 6), 3)) for _ in range(2))
    assert list(again) == list(found)
    for key, picture in found.items():
        if isinstance(picture, dict):
            np.testing.assert_equal(again[key], picture)
        else:  # but for the edges of letters, which matplotlib may put a fraction elsewhere
            assert (again[key] != picture).mean() < 0.005


@pytest.mark.parametrize("name", VISUALISERS)
def test_a_visualiser_draws_a_photograph_in_place_of_the_data_set_s_images(name: str) -> None:
    view = tiny((3, 6, 6), 3)
    view._probe = load_probe("china", 3)
    found = drawn(name, view)
    assert found
    for picture in found.values():
        if isinstance(picture, np.ndarray):
            assert 60 < picture.shape[0] < 1500
            assert 300 < picture.shape[1] < 1500


@pytest.mark.parametrize("name", BY_EPOCH)
def test_a_picture_by_epoch_has_the_same_key_and_size_in_each_epoch(name: str) -> None:
    view, later = tiny((3, 8, 5), 3), tiny((3, 8, 5), 3)
    later.epoch = 120
    with torch.no_grad():
        for parameter in later.model.parameters():
            parameter.mul_(-70).add_(0.3)
    first, second = drawn(name, view), drawn(name, later)
    assert list(first) == list(second)
    for key, picture in first.items():
        assert np.shape(picture) == np.shape(second[key])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("samples", {"cmap": "nope"}, "cmap nope: matplotlib has no such colour map"),
        ("confusion-by-epoch", {"cmap": "nope"}, "cmap nope: matplotlib has no such colour map"),
        ("weights", {"limit": 0.0}, "weights: limit 0; expected a number above 0"),
        ("feature-maps", {"limit": -1.0}, "feature-maps: limit -1; expected a number above 0"),
        ("layer-outputs", {"limit": float("inf")}, "layer-outputs: limit inf; expected a number"),
    ],
)
def test_options_that_make_no_picture_are_refused(
    name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(MlrunError, match=message):
        drawn(name, tiny((1, 6, 6), 3), **options)


@pytest.mark.parametrize(
    ("name", "option", "given", "message"),
    [
        ("weights", "columns", "0", "a whole number of at least 1, got '0'"),
        ("weights", "limit", "inf", "a number above 0 and below inf, got 'inf'"),
        ("saliency", "limit", "0", "a number above 0, got '0'"),
        ("layer-outputs", "image", "-1", "a whole number of at least 0, got '-1'"),
        ("activation-maximisation", "smoothness", "-1", "a number of at least 0, got '-1'"),
        ("activation-maximisation", "lr", "0", "a number above 0, got '0'"),
        ("embedding", "perplexity", "-1", "a number above 0, got '-1'"),
        ("embedding-by-epoch", "images", "2", f"a whole number of at least {FEWEST}, got '2'"),
        ("calibration", "bins", "0", "a whole number of at least 1, got '0'"),
        ("robustness", "rotate", "15,200", "a number of at least 0 and of at most 180, got '200'"),
    ],
)
def test_options_out_of_bounds_are_refused_before_a_run_is_opened(
    name: str, option: str, given: str, message: str
) -> None:
    with pytest.raises(MlrunError) as caught:
        plan_of({"visualisers": name, f"{name}.{option}": given})
    assert str(caught.value) == f"{name}.{option}: expected {message}"


def test_all_numbers_among_the_first_party_options_but_seeds_have_bounds() -> None:
    found = [c for c in discover().of_kind("visualiser") if c.plugin == "mlrun-visualisers"]
    unbounded = {
        option.name
        for component in found
        for option in component.options
        if re.search(r"\b(int|float)\b(?![≥>])", option.type)
    }
    assert len(found) > 15
    assert unbounded == {"seed"}


def test_class_means_are_numpy_s_also_when_they_come_in_many_chunks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mlrun_visualisers.images.classes.CHUNK", 3 * 8 * 5 * 7)
    view = tiny((3, 8, 5), 12)
    seen: list[int] = []
    images_of = view.images

    def images(part: str, places: list[int]) -> torch.Tensor:
        seen.append(len(places))
        return images_of(part, places)

    images_, labels = view.images("train").numpy(), view.labels("train").numpy()
    monkeypatch.setattr(view, "images", images)
    means = class_means_of(view, "train", 11)
    assert max(seen) == 7
    for label in range(11):
        theirs = images_[labels == label].mean(0) if (labels == label).any() else 0
        np.testing.assert_allclose(means[label], theirs)


def test_a_class_without_images_has_a_mean_of_zero_and_says_so() -> None:
    view = tiny((1, 6, 6), 3)
    view.classes = (*view.classes, "none of it")
    assert class_means_of(view, "train", 4)[3].max() == 0
    figure = figures("class-means", view)[""]
    texts = [text.get_text() for text in figure.texts]
    assert texts[:4] == ["a", "b", "c", "none of it: none"]


def test_the_bars_are_as_high_as_numpy_counts() -> None:
    view = tiny((1, 6, 6), 3)
    figure = figures("class-distribution", view)[""]
    assert [axes.get_title().partition(":")[0] for axes in figure.axes] == list(view.parts)
    for axes, part in zip(figure.axes, view.parts, strict=True):
        counts = np.bincount(view.labels(part).numpy(), minlength=3)
        assert counts_of(view, part).tolist() == counts.tolist()
        assert [bar.get_height() for bar in axes.patches] == counts.tolist()
    assert [tick.get_text() for tick in figure.axes[-1].get_xticklabels()] == ["a", "b", "c"]


def test_many_classes_are_drawn_as_one_outline() -> None:
    view = tiny((1, 6, 6), 3)
    view.classes = tuple(map(str, range(1000)))
    figure = figures("class-distribution", view)[""]
    values = figure.axes[0].patches[0].get_data().values
    assert values.tolist() == counts_of(view, "train").tolist()
    assert len(values) == 1000


def test_mistakes_come_with_the_surest_first() -> None:
    chances = torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.7, 0.3], [0.4, 0.6]])
    labels = torch.tensor([1, 1, 1, 0, 0])
    assert surest_mistakes(chances, labels, 9) == ([0, 1, 4], 3)
    assert surest_mistakes(chances, labels, 2) == ([0, 1], 3)
    assert surest_mistakes(chances, chances.argmax(1), 9) == ([], 0)


def test_the_table_of_mistakes_says_what_the_evaluation_says() -> None:
    view = tiny((3, 8, 5), 3)
    table = drawn("misclassified", view, count=4)["misclassified-table"]
    found = view.predictions
    chances = found.logits.softmax(1).numpy()
    places = [found.indices.tolist().index(index) for index in table["index"]]
    assert len(places) == 4
    for row, place in enumerate(places):
        label, predicted = int(found.labels[place]), int(found.predicted[place])
        assert label != predicted
        assert table["true"][row] == view.classes[label]
        assert table["predicted"][row] == view.classes[predicted]
        assert table["probability"][row] == pytest.approx(chances[place, predicted], abs=1e-4)
        assert table["probability of true"][row] == pytest.approx(chances[place, label], abs=1e-4)
        image = view.images("test", [place])[0].permute(1, 2, 0).numpy()
        assert np.array_equal(table["image"][row][::12, ::12], image)
    assert table["probability"] == sorted(table["probability"], reverse=True)


def test_without_a_mistake_the_picture_says_so() -> None:
    view = tiny((1, 6, 6), 3)
    right = view.evaluation("val")
    right.logits[torch.arange(len(right.labels)), right.labels] = 100.0
    view._evaluations["val"] = right
    made = dict(discover().find("visualiser", "misclassified").function(view, part="val"))
    assert made[""].image.texts[0].get_text() == "val, epoch 2: 0 of 30 misclassified"
    found = drawn("misclassified", view, part="val")
    assert found["misclassified"].std() > 0
    assert set(map(len, found["misclassified-table"].values())) == {0}


def test_samples_are_those_that_were_asked_for() -> None:
    view = tiny((3, 8, 5), 12)
    first = figures("samples", view, rows=2, columns=3, part="test", pick="first")[""]
    labels = view.labels("test")[:6].tolist()
    assert [text.get_text() for text in first.texts[:-1]] == [view.classes[n] for n in labels]
    shown = drawn("samples", view, rows=1, columns=1, part="test", pick="first")["samples"]
    image = view.images("test", [0])[0].permute(1, 2, 0).numpy()
    enlarged = image.repeat(12, 0).repeat(12, 1)
    left = 12 + (96 - 60) // 2 + 4  # the margin, and what the image is narrower than its place
    assert np.array_equal(shown[34 : 34 + 96, left : left + 60], enlarged)
    assert not np.array_equal(*(drawn("samples", view, seed=seed)["samples"] for seed in (0, 1)))
    assert "30 of 30 images" in figures("samples", view, rows=9, columns=9)[""].texts[-1].get_text()


def test_a_long_caption_is_cut_in_its_middle() -> None:
    assert shortened("short", 96) == "short"
    cut = shortened("a rather long name of class 17", 96)
    assert cut.startswith("a rath")
    assert cut.endswith(" 17")
    assert text_width(cut, 8) <= 96


@pytest.mark.parametrize("name", VISUALISERS)
def test_names_may_hold_dollars_and_letters_that_the_font_lacks(name: str) -> None:
    view = tiny((1, 6, 6), 3)
    view.classes = ("$a$", "$\\b $", "お")
    assert drawn(name, view)


def test_grey_images_take_the_colours_of_the_map_and_rgb_keep_theirs() -> None:
    grey, rgb = (np.full((channels, 2, 2), 200, np.uint8) for channels in (1, 3))
    assert tile(rgb, 4, "magma")[0, 0].tolist() == [200, 200, 200]
    assert tile(grey, 4, "gray")[0, 0].tolist() == [200, 200, 200]
    assert tile(grey, 4, "magma")[0, 0].tolist() != [200, 200, 200]
    figure = captioned([tile(grey, 4, "gray")], ["a"], columns=5, title="t")
    assert figure.get_size_inches()[0] * 100 == 380
