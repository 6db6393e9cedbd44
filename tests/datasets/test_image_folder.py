"""Folders of image files: how they may be laid out, and what is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from data_files import drawn, load, write_image, write_tree
from mlflow import MlflowClient

import mlrun
from mlrun import MlrunError
from mlrun.data import examples
from mlrun.data.decoding import decode

pytestmark = pytest.mark.usefixtures("home")


def test_the_pixels_are_those_of_the_decoder_by_class_and_path(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", classes="ba")
    data = load("image-folder", tmp_path, path="tree", size=(6, 8))
    files = sorted(tree.rglob("*.png"))
    assert data.classes == ("a", "b")
    assert data.train.labels.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert list(data.parts) == ["train"]
    for image, file in zip(data.train.images.numpy(), files, strict=True):
        assert np.array_equal(image, decode(file, channels=3, size=(6, 8)))
    assert data.source == str(tree)


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        (["train", "val", "test"], ["train", "validation", "test"]),
        (["training", "testing"], ["train", "test"]),
        (["Train", "Valid"], ["train", "validation"]),
        (["train", "validation"], ["train", "validation"]),
        (["train"], ["train"]),
    ],
)
def test_parts_are_folders_of_these_names(
    names: list[str], parts: list[str], tmp_path: Path
) -> None:
    for count, name in enumerate(names, start=2):
        write_tree(tmp_path / "tree" / name, count=count)
    data = load("image-folder", tmp_path, path="tree")
    assert list(data.parts) == parts
    assert [len(part.labels) for part in data.parts.values()] == [4, 6, 8][: len(parts)]
    for name, part in zip(names, data.parts.values(), strict=True):
        first = decode(tmp_path / "tree" / name / "a" / "0.png", channels=3, size=(64, 64))
        assert np.array_equal(part.images[0].numpy(), first)


def test_a_part_may_lack_a_class(tmp_path: Path) -> None:
    write_tree(tmp_path / "tree" / "train", classes="abc")
    write_tree(tmp_path / "tree" / "test", classes="c")
    data = load("image-folder", tmp_path, path="tree")
    assert data.parts["test"].labels.tolist() == [2] * 4


def test_folders_in_a_class_are_searched_and_links_followed(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", count=1)
    write_image(tree / "a" / "more" / "deep" / "x.JPG", drawn(9, 9, 3))
    elsewhere = write_image(tmp_path / "elsewhere" / "y.webp", drawn(9, 9, 3))
    (tree / "b" / "linked.webp").symlink_to(elsewhere)
    (tree / "b" / "folder").symlink_to(elsewhere.parent)
    (tree / "b" / "circle").symlink_to(tree / "b")
    assert load("image-folder", tmp_path, path="tree").train.labels.tolist() == [0, 0, 1, 1, 1]


def test_other_files_are_left_out_and_counted(tmp_path: Path, told: Callable[[], str]) -> None:
    tree = write_tree(tmp_path / "tree", count=2)
    (tree / "README.txt").write_text("not in a class")
    (tree / ".git" / "a").mkdir(parents=True)
    (tree / "a" / "Thumbs.db").write_text("")
    (tree / "b" / "labels.csv").write_text("")
    shutil.copy(tree / "a" / "0.png", tree / "a" / "._0.png")
    assert len(load("image-folder", tmp_path, path="tree").train.labels) == 4
    cache = next(Path(tmp_path / "state" / "cache" / "image-folder").glob("tree-*[!k]"))
    assert told() == (f"image-folder: decoding 4 images into {cache}, 3 other files ignored\n")


def test_size_channels_and_none_mean_what_they_say(tmp_path: Path) -> None:
    write_tree(tmp_path / "tree")
    shapes = {
        (3, 64, 64): {},
        (1, 64, 64): {"channels": 1},
        (3, 20, 20): {"size": 20},
        (1, 8, 9): {"size": (8, 9), "channels": 1},
        (3, 10, 12): {"size": None},
    }
    for shape, options in shapes.items():
        assert load("image-folder", tmp_path, path="tree", **options).shape == shape


def test_without_a_size_all_images_must_be_alike(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree")
    odd = write_image(tree / "b" / "x.png", drawn(5, 7, 3))
    with pytest.raises(MlrunError) as caught:
        load("image-folder", tmp_path, path="tree", size=None)
    assert str(caught.value) == (
        f"1 of 9 images cannot be used; the first: {odd} has 5 × 7 pixels, the first image "
        "10 × 12 (see --dataset.size); mend or remove them, or leave them out with "
        "--dataset.skip-unreadable true"
    )


def test_an_unreadable_image_is_named_and_skipped_only_if_asked(
    tmp_path: Path, told: Callable[[], str]
) -> None:
    tree = write_tree(tmp_path / "tree")
    (tree / "a" / "1.png").write_bytes((tree / "a" / "1.png").read_bytes()[:60])
    (tree / "b" / "nowhere.png").symlink_to(tree / "gone.png")
    with pytest.raises(MlrunError) as caught:
        load("image-folder", tmp_path, path="tree")
    assert str(caught.value).startswith(
        f"2 of 9 images cannot be used; the first: cannot read {tree / 'a' / '1.png'}: "
    )
    assert "\n" not in str(caught.value)
    told()
    data = load("image-folder", tmp_path, path="tree", skip_unreadable=True)
    assert told() == (
        "image-folder: 2 of 9 images cannot be used and are left out: a/1.png, b/nowhere.png\n"
    )
    assert data.train.labels.tolist() == [0, 0, 0, 1, 1, 1, 1]
    kept = [decode(tree / "a" / f"{n}.png", channels=3, size=(64, 64)) for n in (0, 2, 3)]
    assert np.array_equal(data.train.images[:3].numpy(), kept)
    write_tree(tmp_path / "tree")
    (tree / "b" / "nowhere.png").unlink()
    assert len(load("image-folder", tmp_path, path="tree").train.labels) == 8


def test_a_class_whose_images_are_all_skipped_is_an_error(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", count=2)
    for path in (tree / "b").iterdir():
        path.write_text("no image")
    with pytest.raises(MlrunError, match=r"no image of class b in .*tree can be used"):
        load("image-folder", tmp_path, path="tree", skip_unreadable=True)


def empty_class(tree: Path) -> None:
    (tree / "c").mkdir()
    (tree / "c" / "notes.txt").write_text("")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (empty_class, r"no images in .*tree/c; add some or remove the folder"),
        (lambda tree: shutil.rmtree(tree / "b"), "tree has only the folder a; expected a folder"),
        (lambda tree: [shutil.rmtree(tree / name) for name in "ab"], "tree has no folders; expect"),
    ],
)
def test_a_folder_that_is_laid_out_otherwise_is_refused(
    change: object, message: str, tmp_path: Path
) -> None:
    tree = write_tree(tmp_path / "tree")
    change(tree)
    with pytest.raises(MlrunError, match=message):
        load("image-folder", tmp_path, path="tree")


def test_parts_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    write_tree(tree / "train")
    write_tree(tree / "test", classes="abz")
    with pytest.raises(MlrunError, match=r"tree/test has the class z, which .*tree/train has not"):
        load("image-folder", tmp_path, path="tree")
    (tree / "test").rename(tree / "training")
    with pytest.raises(MlrunError, match="has train and training, which are the same part"):
        load("image-folder", tmp_path, path="tree")


def test_a_path_or_number_that_cannot_be_is_refused(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree")
    with pytest.raises(MlrunError, match=r"0.png is a file; expected a folder with one folder for"):
        load("image-folder", tmp_path, path=str(tree / "a" / "0.png"))
    for options in ({"size": 0}, {"size": (8, -1)}, {"workers": -1}):
        with pytest.raises(MlrunError, match=r"--dataset.workers must be 0 or more, --data"):
            load("image-folder", tmp_path, path="tree", **options)


def test_a_run_is_the_same_from_the_map_as_from_memory(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, count in (("training", 20), ("testing", 5)):
        write_tree(tmp_path / "tree" / name, count=count)
    settings = {
        "data_dir": tmp_path,
        "dataset": "image-folder",
        "dataset.path": "tree",
        "dataset.size": "12",
        "model.channels": "4",
        "batch_size": 8,
        "epochs": 1,
        "visualisers": "none",
        "log_model": False,
    }
    ready = mlrun.train(settings)
    monkeypatch.setattr(examples, "room_on", lambda device: 10**9)
    mapped = mlrun.train(settings)
    one, two = (MlflowClient().get_run(run.run_id).data for run in (ready, mapped))
    assert one.tags["mlrun.weights_sha256"] == two.tags["mlrun.weights_sha256"]
    assert ready.metrics["test/loss"] == mapped.metrics["test/loss"]
    assert one.params["dataset.size"] == "12"


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree")
    (tree / "a").rename(tree / "train")
    data = load("image-folder", tmp_path, path="tree")
    assert data.classes == ("b", "train")
    assert data.validation is None
