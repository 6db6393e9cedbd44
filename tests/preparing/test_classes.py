"""Classes without images, one class only, and names that look alike, as a user is told of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from runs import QUICK

import mlrun

Command = Callable[..., tuple[int, str, str]]
TRAIN = ("train", "--model", "logistic", "--visualisers", "none", "--dry-run", "--dataset", "csv")


def write(path: Path, labels: Sequence[object]) -> Path:
    """A table of images of 2 × 2 pixels."""
    rows = [f"{label},{n % 251},{n % 7},0,9" for n, label in enumerate(labels)]
    path.write_text("\n".join(["label,a,b,c,d", *rows]) + "\n")
    return path


@pytest.fixture
def lines(home: Path, command: Command) -> Callable[..., tuple[int, list[str]]]:
    """The exit code and what is told where these labels are trained on."""

    def told(labels: Sequence[object], *options: str) -> tuple[int, list[str]]:
        (home / "data").mkdir(exist_ok=True)
        write(home / "data" / "train.csv", labels)
        code, _, stderr = command(*TRAIN, "--dataset.train", "train.csv", *options)
        return code, stderr.splitlines()

    return told


Lines = Callable[..., tuple[int, list[str]]]
SORTED = ["a"] * 30 + ["b"] * 30 + ["c"] * 30


def test_training_images_of_one_class_are_refused(lines: Lines) -> None:
    message = "Error: data set csv: all {} training images are of class {}; expected images of at "
    see = "least two classes; see --subset and --validation"
    assert lines(SORTED, "--subset", "30") == (2, [message.format(27, "a") + see])
    code, told = lines(SORTED, "--validation", "last:60")
    assert (code, told) == (2, [message.format(30, "a") + see])
    code, told = lines([1] * 20, "--dataset.num-classes", "3")
    assert (code, told) == (2, [message.format(18, "1") + "least two classes"])
    code, told = lines(["a"] * 20)
    assert code == 2
    assert told[0].startswith(
        "Error: data set csv: classes are ('a',); expected the names of at least two"
    )


def test_classes_that_a_part_lacks_are_named_for_every_part(lines: Lines, home: Path) -> None:
    assert lines(SORTED) == (0, [])
    assert lines(SORTED, "--subset", "60") == (0, [
        "Warning: the training part has no image of 1 of 3 classes: c; see --subset and "
        "--validation",
        "Warning: the validation part has no image of 1 of 3 classes: c; see --validation",
    ])  # fmt: skip
    write(home / "data" / "test.csv", "aab")
    assert lines(SORTED, "--validation", "last:30", "--dataset.test", "test.csv") == (0, [
        "Warning: the training part has no image of 1 of 3 classes: c; see --subset and "
        "--validation",
        "Warning: the validation part has no image of 2 of 3 classes: a, b; see --validation",
        "Warning: the test part has no image of 1 of 3 classes: c",
    ])  # fmt: skip
    write(home / "data" / "test.csv", [2, 3])
    numbers = [n % 2 for n in range(60)]
    assert lines(numbers, "--dataset.test", "test.csv") == (0, [
        "Warning: the training part has no image of 2 of 4 classes: 2, 3",
        "Warning: the validation part has no image of 2 of 4 classes: 2, 3; see --validation",
        "Warning: the test part has no image of 2 of 4 classes: 0, 1",
    ])  # fmt: skip


def test_labels_from_1_are_said_to_leave_class_0_empty(lines: Lines) -> None:
    labels = [1 + n % 10 for n in range(200)]
    assert lines(labels) == (0, [
        "Warning: no part has an image of 1 of 11 classes: 0; labels run from 1 to 10, where the "
        "first class is 0"
    ])  # fmt: skip
    code, told = lines(labels, "--dataset.num-classes", "10")
    assert (code, len(told)) == (2, 1)
    assert "label 10; with 10 classes labels are 0 to 9" in told[0]
    assert lines([n % 2 for n in range(40)], "--dataset.num-classes", "9") == (0, [
        "Warning: no part has an image of 7 of 9 classes: 2, 3, 4, 5, 6, …"
    ])  # fmt: skip


def test_names_that_look_alike_are_told_apart_in_a_line(lines: Lines) -> None:
    alike = "Warning: classes whose names look alike are told apart: "
    names = ["cat", " cat", "dog", "Dog", "cow"] * 20
    code, told = lines(names, "--validation", "0.2")
    assert (code, told) == (0, [f"{alike}' cat' and 'cat', 'Dog' and 'dog'"])
    assert lines(["a", "A", "b"] * 20) == (0, [])


def test_an_evaluation_on_other_data_names_the_classes_that_it_lacks(
    store: str, home: Path, command: Command
) -> None:
    (home / "data").mkdir()
    write(home / "data" / "train.csv", "abc" * 20)
    write(home / "data" / "other.csv", "aabb")
    data = {"dataset": "csv", "dataset.train": "train.csv"}
    run = mlrun.train({**QUICK, **data})
    other = ("--dataset.test", "other.csv")
    code, stdout, stderr = command("evaluate", run.run_id, *other)
    assert (code, stdout.startswith("test-csv: loss ")) == (0, True)
    assert stderr.splitlines()[0] == ("Warning: the test part has no image of 1 of 3 classes: c")
