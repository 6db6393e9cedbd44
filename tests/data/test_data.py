"""From ImageData to batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from parts import part, whole
from torchvision.transforms.v2.functional import normalize

from mlrun import ImageData, MlrunError, Part
from mlrun.data.normalisation import Normalisation, make_normalisation, measure
from mlrun.data.splits import split, take_subset
from mlrun.machine.randomness import derive_seed


def data(**parts: Part) -> ImageData:
    return ImageData(**{"train": part(), **parts}, classes=("a", "b", "c"))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Part(part().images.float(), part().labels), r"train images are torch.float32 \(100, 1, 4"),
        (Part(part().images[:, 0], part().labels), r"expected uint8 \(N, C, H, W\)"),
        (Part(part().images, part().labels.int()), "train labels are torch.int32"),
        (Part(part().images[:9], part().labels), r"images \(9, 1, 4, 4\) but labels \(100,\)"),
        (Part(part().images[:0], part().labels[:0]), "the train part is empty"),
        (Part(part().images, part().labels + 1), "train labels run from 1 to 3; with 3 classes"),
        (Part(part().images, part().labels - 1), "train labels run from -1 to 1"),
        (Part(np.zeros(3), np.zeros(3)), "train images are ndarray; expected a torch tensor"),
    ],
)
def test_data_that_break_the_contract_are_refused(broken: Part, message: str) -> None:
    with pytest.raises(MlrunError, match=message):
        data(train=broken).check()


def test_parts_of_different_shapes_are_refused_with_both() -> None:
    with pytest.raises(MlrunError, match=r"test images are \(1, 5, 5\), training images \(1, 4, 4"):
        data(test=part(shape=(1, 5, 5))).check()


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"classes": 3}, "classes are 3; expected a tuple with the name of each class"),
        ({"classes": (0, 1, 2)}, "expected a tuple with the name of each class"),
        ({"classes": "abc"}, "classes are 'abc'"),
        ({"classes": ("a", "a", "b")}, "expected a different name for each class"),
        ({"classes": ()}, r"classes are \(\); expected the names of at least two"),
        ({"classes": ("a",)}, r"classes are \('a',\); expected the names of at least two"),
        ({"mean": 0.5}, "mean is 0.5; expected a tuple with a value from 0 to 1"),
        ({"mean": (127.0,)}, "expected a tuple with a value from 0 to 1"),
        ({"mean": (0.1, 0.2)}, "mean and std have 2 values for 1 channels"),
        ({"std": (0.0,)}, r"std is \(0.0,\); expected values above 0"),
        ({"value_range": 5}, "value_range is 5; expected two numbers, the lower first, or None"),
        ({"value_range": (9, 1)}, r"value_range is \(9, 1\); expected two numbers"),
        ({"value_range": ("a", "b")}, "expected two numbers"),
        ({"value_range": (0, float("inf"))}, "expected two numbers"),
        ({"train": 1}, r"the train part is int; expected Part\(images, labels\)"),
        ({"test": (1, 2, 3)}, r"the test part is tuple; expected Part\(images, labels\)"),
    ],
)
def test_a_description_that_breaks_the_contract_is_refused(
    about: dict[str, object], message: str
) -> None:
    whole = {"train": part(), "classes": ("a", "b", "c"), **about}
    with pytest.raises(MlrunError, match=message):
        ImageData(**whole).check()


def test_a_plain_pair_is_a_part() -> None:
    found = ImageData(train=(part().images, part().labels), classes=("a", "b", "c"))
    found.check()
    assert isinstance(found.train, Part)


def test_data_that_keep_the_contract_pass() -> None:
    found = data(test=part(7))
    found.check()
    assert found.shape == (1, 4, 4)
    assert list(found.parts) == ["train", "test"]


def test_a_fraction_is_set_aside_at_random_and_nothing_is_in_both() -> None:
    found = split(data(), validation=0.2, subset="all", seed=1)
    train, held = found["train"].indices.tolist(), found["val"].indices.tolist()
    assert (len(train), len(held)) == (80, 20)
    assert sorted(train + held) == list(range(100))
    assert held != list(range(80, 100))
    again = split(data(), validation=0.2, subset="all", seed=1)
    assert again["val"].indices.tolist() == held
    assert split(data(), validation=0.2, subset="all", seed=2)["val"].indices.tolist() != held


def test_validation_is_the_own_part_where_there_is_one() -> None:
    both = data(validation=part(7), test=part(9))
    for setting, length, name in [("auto", 7, "validation"), ("own", 7, "validation"),
                                  ("test", 9, "test")]:  # fmt: skip
        found = split(both, validation=setting, subset="all", seed=0)
        assert (len(found["val"]), found["val"].part) == (length, name)
        assert len(found["train"]) == 100
        assert len(found["test"]) == 9
    assert len(split(data(), validation="auto", subset="all", seed=0)["val"]) == 10
    with pytest.raises(MlrunError, match="validation own: the data set has no validation part"):
        split(data(), validation="own", subset="all", seed=0)


def test_a_subset_is_the_first_or_a_random_number_of_training_images() -> None:
    first = split(data(), validation=0.5, subset="10", seed=0)
    assert sorted([*first["train"].indices, *first["val"].indices]) == list(range(10))
    drawn = split(data(test=part(9)), validation="test", subset="random:10", seed=0)["train"]
    assert len(drawn) == 10
    assert drawn.indices.tolist() == sorted(drawn.indices.tolist()) != list(range(10))
    with pytest.raises(MlrunError, match="subset 101: the training part has only 100 images"):
        split(data(), validation=0.1, subset="101", seed=0)


def test_the_last_training_images_may_be_the_validation_part() -> None:
    found = split(data(test=part(9)), validation="last:20", subset="50", seed=0)
    assert found["train"].indices.tolist() == list(range(30))
    assert found["val"].indices.tolist() == list(range(30, 50))
    assert (found["val"].part, found["test"].part) == ("train", "test")
    drawn = split(data(), validation="last:3", subset="random:10", seed=0)
    chosen = take_subset(data().train.labels, "random:10", 0, stratify=True).tolist()
    assert drawn["train"].indices.tolist() + drawn["val"].indices.tolist() == chosen
    assert len(drawn["val"]) == 3


@pytest.mark.parametrize(("last", "held"), [(10, 10), (500, 10)])
def test_last_images_that_leave_none_to_train_on_are_refused(last: int, held: int) -> None:
    with pytest.raises(
        MlrunError,
        match=f"validation last:{last}: of 10 training images that leaves 0 to train on and {held}",
    ):
        split(data(), validation=f"last:{last}", subset="10", seed=0)


def test_a_split_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(MlrunError, match="leaves 2 to train on and 0 to validate on"):
        split(data(), validation=0.1, subset="2", seed=0)


def test_the_measured_mean_and_deviation_are_numpy_s() -> None:
    given = part(5000, shape=(3, 4, 4))
    mean, std = measure(whole(given))
    pixels = given.images.numpy().astype(np.float64) / 255
    assert mean == pytest.approx(pixels.mean((0, 2, 3)), rel=1e-12)
    assert std == pytest.approx(pixels.std((0, 2, 3)), rel=1e-12)


def test_normalised_images_are_torchvision_s() -> None:
    images = part(shape=(3, 4, 4)).images
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
    expected = normalize(images.float() / 255, list(mean), list(std))
    torch.testing.assert_close(Normalisation(mean, std)(images), expected)


def test_each_normalisation_setting_means_what_it_says() -> None:
    train = whole(part())
    published = ((0.25,), (0.5,))
    assert make_normalisation("none", published, train).mean == (0.0,)
    assert make_normalisation("dataset", published, train).std == (0.5,)
    assert make_normalisation("0.1/0.3", published, train).mean == (0.1,)
    computed = make_normalisation("computed", published, train)(train.images)
    assert computed.mean().item() == pytest.approx(0, abs=1e-5)
    assert computed.std(correction=0).item() == pytest.approx(1, abs=1e-5)
    with pytest.raises(MlrunError, match="normalisation dataset: the data set publishes no mean"):
        make_normalisation("dataset", (None, None), train)
    with pytest.raises(MlrunError, match="2 means and 1 standard deviations for 1 channels"):
        make_normalisation("0.1,0.2/0.3", published, train)


def test_a_channel_of_one_value_does_not_become_nan() -> None:
    blank = Part(torch.zeros(5, 1, 2, 2, dtype=torch.uint8), torch.zeros(5, dtype=torch.int64))
    assert make_normalisation("computed", (None, None), whole(blank))(blank.images).isfinite().all()


def test_seeds_for_different_purposes_differ_and_stay() -> None:
    assert derive_seed(0, "order", 1) == 2961819992523135983
    assert len({derive_seed(0, *names) for names in [("a",), ("b",), ("a", 1), ("a", 2)]}) == 4
    assert 0 <= derive_seed(2**63 - 1, "x") < 2**63
