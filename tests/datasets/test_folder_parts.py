"""Folders of images: what lies beside the classes and the parts is left out, and said."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from data_files import drawn, load, write_image, write_tree

from mlrun import MlrunError

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Folders `train` and `test` of two classes."""
    write_tree(tmp_path / "tree" / "train")
    write_tree(tmp_path / "tree" / "test", count=2)
    return tmp_path / "tree"


def warnings_of(text: str) -> list[str]:
    """The lines before that about decoding, without their common beginning."""
    before, decoding, _ = text.partition("image-folder: decoding ")
    assert decoding  # the warnings come first
    lines = before.splitlines()
    assert all(line.startswith("image-folder: left out: ") for line in lines)
    return [line.removeprefix("image-folder: left out: ") for line in lines]


@pytest.mark.parametrize(("name", "part"), [("test", "test"), ("Valid", "validation")])
def test_a_part_without_class_folders_is_left_out(
    name: str, part: str, tmp_path: Path, told: Callable[[], str]
) -> None:
    write_tree(tmp_path / "tree" / "train")
    for number in range(3):
        write_image(tmp_path / "tree" / name / f"{number}.png", drawn(9, 9, 3))
    assert list(load("image-folder", tmp_path, path="tree").parts) == ["train"]
    assert warnings_of(told()) == [
        f"3 images in {tmp_path}/tree/{name} outside class folders, where there are none; "
        f"there is no {part} part"
    ]


@pytest.mark.parametrize(
    ("name", "question"),
    [
        ("notes", ""),
        ("mlruns_old", ""),
        ("vaild", "; did you mean valid?"),
        ("Validaton", "; did you mean validation?"),
        ("tset", ""),  # there is a test part
    ],
)
def test_a_folder_that_is_no_part_is_left_out(
    name: str, question: str, tree: Path, told: Callable[[], str]
) -> None:
    write_tree(tree / name)
    data = load("image-folder", tree.parent, path="tree")
    assert [len(part.labels) for part in data.parts.values()] == [8, 4]
    what = f"{tree / name}, which is no part (train, val, test){question}"
    assert warnings_of(told()) == [what]


@pytest.mark.parametrize("where", ["train", "."])
def test_the_folders_that_mlflow_makes_are_left_out(
    where: str, tree: Path, told: Callable[[], str]
) -> None:
    for name in ("mlruns", "mlartifacts"):
        write_image(tree / where / name / "0" / "images" / "weights.png", drawn(9, 9, 3))
    path = f"tree/{where}"
    assert load("image-folder", tree.parent, path=path).classes == ("a", "b")
    folder = tree / where
    assert warnings_of(told()) == [
        f"{folder}/mlartifacts, which is MLflow's",
        f"{folder}/mlruns, which is MLflow's",
    ]


@pytest.mark.parametrize(
    "name", ["__MACOSX", "@eaDir", "lost+found", "$RECYCLE.BIN", "System Volume Information",
             ".ipynb_checkpoints"],
)  # fmt: skip
def test_folders_of_systems_are_left_out_as_hidden_ones_are(
    name: str, tree: Path, told: Callable[[], str]
) -> None:
    for place in (tree, tree / "train", tree / "train" / "a", tree / "test"):
        write_image(place / name / "a" / "0.png", drawn(9, 9, 3))
    data = load("image-folder", tree.parent, path="tree")
    assert data.classes == ("a", "b")
    assert [len(part.labels) for part in data.parts.values()] == [8, 4]
    assert warnings_of(told()) == []


def test_images_outside_class_folders_and_broken_links_are_told(
    tree: Path, told: Callable[[], str]
) -> None:
    write_image(tree / "test" / "x.png", drawn(9, 9, 3))
    write_image(tree / "train" / "x.png", drawn(9, 9, 3))
    write_image(tree / "train" / "y.png", drawn(9, 9, 3))
    (tree / "train" / "c").symlink_to(tree / "gone")
    (tree / "train" / "d").symlink_to(tree / "train" / "d")
    assert load("image-folder", tree.parent, path="tree").classes == ("a", "b")
    assert warnings_of(told()) == [
        f"1 image in {tree}/test outside class folders",
        f"{tree}/train/c, a link that leads nowhere",
        f"{tree}/train/d, a link that leads nowhere",
        f"2 images in {tree}/train outside class folders",
    ]


def test_folders_that_look_like_parts_are_no_classes(tree: Path) -> None:
    (tree / "train").rename(tree / "trian")
    with pytest.raises(MlrunError, match=r"tree has test but no train; did you mean trian by it\?"):
        load("image-folder", tree.parent, path="tree")
    for name in ("trian", "test"):
        for path in (tree / name).rglob("*.png"):
            path.rename(tree / name / f"{path.parent.name}-{path.name}")
        for folder in "ab":
            shutil.rmtree(tree / name / folder)
    (tree / "trian").rename(tree / "train")
    with pytest.raises(MlrunError, match=r"tree/test has no folders; expected a folder for each"):
        load("image-folder", tree.parent, path="tree")
