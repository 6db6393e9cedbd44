"""CSV files that name image files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from data_files import drawn, load, write_image, write_tree
from mlflow import MlflowClient

import mlrun
from mlrun import MlrunError
from mlrun.data.decoding import decode

pytestmark = pytest.mark.usefixtures("home")


def write_manifest(folder: Path, text: str = "", name: str = "train.csv") -> Path:
    """Writes a tree of images beside a file that names some of them, in a mixed order."""
    write_tree(folder, count=3)
    rows = text or "file,label,note\nb/1.png,dog,x\na/0.png,cat,\nb/0.png,dog,\na/2.png,cat,\n"
    (folder / name).write_text(rows)
    return folder / name


def test_images_and_labels_are_those_of_the_rows(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    write_manifest(folder)
    write_manifest(folder, f"label,file\ncat,{folder / 'a' / '1.png'}\n", "test.csv")
    data = load("csv", tmp_path, train="set/train.csv", test="set/test.csv", path_column="file")
    assert data.classes == ("cat", "dog")
    assert data.train.labels.tolist() == [1, 0, 1, 0]
    assert data.parts["test"].labels.tolist() == [0]
    paths = ["b/1.png", "a/0.png", "b/0.png", "a/2.png"]
    expected = [decode(folder / path, channels=3, size=(64, 64)) for path in paths]
    assert np.array_equal(data.train.images.numpy(), expected)
    assert data.source == f"{folder / 'train.csv'}, {folder / 'test.csv'}"


def test_options_are_those_of_image_folder(tmp_path: Path, told: Callable[[], str]) -> None:
    write_manifest(tmp_path)
    options = {"train": "train.csv", "path_column": "file"}
    assert load("csv", tmp_path, **options, size=(8, 9), channels=1).shape == (1, 8, 9)
    assert load("csv", tmp_path, **options, size=None).shape == (3, 10, 12)
    cache = tmp_path / "kept"
    told()
    load("csv", tmp_path, **options, cache=str(cache), workers=2)
    assert told().startswith(f"csv: decoding 4 images into {cache}/train.csv-")
    load("csv", tmp_path, **options, cache=str(cache))
    assert told() == ""


def test_two_manifests_of_one_folder_have_caches_of_their_own(
    tmp_path: Path, told: Callable[[], str]
) -> None:
    write_manifest(tmp_path)
    write_manifest(tmp_path, "file,label\na/0.png,0\nb/0.png,3\n", "other.csv")
    for name in ("train.csv", "other.csv"):
        load("csv", tmp_path, train=name, path_column="file")
    told()
    assert load("csv", tmp_path, train="other.csv", path_column="file").classes == tuple("0123")
    assert len(load("csv", tmp_path, train="train.csv", path_column="file").train.labels) == 4
    assert told() == ""


def test_without_a_header_the_columns_are_numbers(tmp_path: Path) -> None:
    write_manifest(tmp_path, "a/0.png;0\nb/0.png;1\n")
    options = {"train": "train.csv", "header": False}
    assert load("csv", tmp_path, **options, path_column="1").train.labels.tolist() == [0, 1]
    write_manifest(tmp_path, "0,a/0.png\n1,b/0.png\n")
    assert load("csv", tmp_path, **options, path_column="2").train.labels.tolist() == [0, 1]


def test_images_that_cannot_be_read_are_named_with_their_row(
    tmp_path: Path, told: Callable[[], str]
) -> None:
    write_manifest(tmp_path, "file,label\na/0.png,0\na/gone.png,0\nb/0.png,1\npipe,1\n")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(MlrunError) as caught:
        load("csv", tmp_path, train="train.csv", path_column="file")
    assert str(caught.value).startswith(
        f"2 of 4 images cannot be used; the first: {tmp_path / 'train.csv'}, row 3, column file "
        f"(1): cannot read {tmp_path / 'a' / 'gone.png'}: "
    )
    assert "\n" not in str(caught.value)
    told()
    data = load("csv", tmp_path, train="train.csv", path_column="file", skip_unreadable=True)
    assert data.train.labels.tolist() == [0, 1]
    assert told() == "csv: 2 of 4 images cannot be used and are left out: a/gone.png, pipe\n"


def test_a_class_whose_images_are_all_skipped_is_an_error(tmp_path: Path) -> None:
    write_manifest(tmp_path, "file,label\na/0.png,0\na/gone.png,2\nb/0.png,4\n")
    with pytest.raises(MlrunError, match=r"no image of class 2 in .*train.csv can be used"):
        load("csv", tmp_path, train="train.csv", path_column="file", skip_unreadable=True)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("path,label\na,0\n", {}, r"has no column file .* name the column with --dataset.path-col"),
        ("file,kind\na,0\n", {}, "has no column label .* name the column with --dataset.label"),
        ("file,label\n,0\n", {}, r"train.csv, row 2, column file \(1\): no path"),
        ("file,label\na/0.png,\n", {}, r"train.csv, row 2, column label \(2\): no label"),
        ("file,label\na/0.png\n", {}, r"row 2, column label \(2\): nothing; this row has 1 fields"),
        ("file,label\na,0\na,x\n", {}, r"mix numbers and names: 0 \(.*row 2, column label \(2\)\)"),
        (
            "file,label\na,0\n",
            {"label": "file"},
            r"path-column and --dataset.label are both col",
        ),
        (
            "file,label\na,0\n",
            {"height": 3},
            "layout are for rows of pixels; with --dataset.pa",
        ),
        ("label,a\n0,0\n", {"size": 3, "path_column": None}, "--dataset.size and .* are for image"),
    ],
)
def test_what_does_not_fit_is_refused(
    text: str, options: dict[str, object], message: str, tmp_path: Path
) -> None:
    write_manifest(tmp_path, text)
    with pytest.raises(MlrunError, match=message):
        load("csv", tmp_path, **{"train": "train.csv", "path_column": "file", **options})


def test_a_run_trains_on_a_manifest(store: str, tmp_path: Path) -> None:
    for number in range(20):
        for name, shade in (("dark", 0), ("light", 180)):
            pixels = drawn(9, 9, 3, seed=number) // 4 + np.uint8(shade)
            write_image(tmp_path / "all" / f"{name}{number}.png", pixels)
    names = [f"{name}{number}" for name in ("dark", "light") for number in range(20)]
    rows = [f"all/{name}.png,{name.rstrip('0123456789')}" for name in names]
    (tmp_path / "train.csv").write_text("\n".join(["file,label", *rows]) + "\n")
    (tmp_path / "test.csv").write_text("\n".join(["file,label", rows[0], rows[-1]]) + "\n")
    run = mlrun.train(
        {
            "data_dir": tmp_path,
            "dataset": "csv",
            "dataset.train": "train.csv",
            "dataset.test": "test.csv",
            "dataset.path_column": "file",
            "dataset.size": 8,
            "model": "logistic",
            "epochs": 3,
            "batch_size": 8,
            "lr": 0.1,
            "visualisers": "none",
            "log_model": False,
        }
    )
    assert run.metrics["test/accuracy"] == 1.0
    params = MlflowClient().get_run(run.run_id).data.params
    assert params["dataset.path_column"] == "file"
