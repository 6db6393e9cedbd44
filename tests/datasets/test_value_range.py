"""Image folders of more than 8 bits: one range of values for all of them, kept with the run."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from data_files import load, write_csv_example, write_image, write_tree
from deep_files import write_dim_tree
from mlflow import MlflowClient

from mlrun import MlrunError
from mlrun.data.decoding import decode

Command = Callable[..., tuple[int, str, str]]
Told = Callable[[], str]
pytestmark = pytest.mark.usefixtures("home")


def grey(root: Path, **options: object) -> torch.Tensor:
    return load("image-folder", root, path="tree", channels=1, size=None, **options).train.images


def test_the_range_is_that_of_the_training_images_and_all_others_are_clamped(
    tmp_path: Path, told: Told
) -> None:
    write_dim_tree(tmp_path / "tree" / "train")
    write_dim_tree(tmp_path / "tree" / "test", low=1000)
    data = load("image-folder", tmp_path, path="tree", channels=1, size=None)
    assert data.value_range == (1050, 1139)
    assert "the training images' values, 1050 to 1139, become 0 to 255" in told()
    for part in ("train", "test"):
        for image, name in zip(data.parts[part].images[::6], "ab", strict=True):
            path = tmp_path / "tree" / part / name / "0.png"
            expected = decode(path, channels=1, value_range=(1050, 1139))
            assert np.array_equal(image.numpy(), expected)
    assert data.train.images[:6].max() < 60 < 195 < data.train.images[6:].min()
    assert data.parts["test"].images[:6].max() == 0


@pytest.mark.parametrize(
    ("suffix", "dtype", "unit"),
    [("tif", np.float32, 1.0), ("tif", np.float32, 1e-3), ("tif", np.int32, 100), ("png", "u2", 1)],
)
def test_every_kind_of_file_shares_one_range(
    suffix: str, dtype: type, unit: float, tmp_path: Path
) -> None:
    write_dim_tree(tmp_path / "tree", low=0.5, unit=unit, suffix=suffix, dtype=dtype)
    images = grey(tmp_path)
    assert (int(images.min()), int(images.max())) == (0, 255)
    assert images[:6].max() < 60 < 195 < images[6:].min()


def test_neither_the_order_nor_the_number_of_processes_matters(tmp_path: Path) -> None:
    tree = write_dim_tree(tmp_path / "tree", count=80)
    write_image(tree / "b" / "last.png", np.full((10, 12), 2000, "u2"))
    write_image(tree / "a" / "0.png", np.full((10, 12), 40, "u1"))
    made = [
        load(
            "image-folder",
            tmp_path,
            path="tree",
            channels=1,
            workers=workers,
            cache=str(tmp_path / f"cache-{workers}"),
        )
        for workers in (1, 2)
    ]
    assert {data.value_range for data in made} == {(1050, 2000)}
    assert all(torch.equal(data.train.images, made[0].train.images) for data in made)
    assert (made[0].train.images[0] == 40).all()


def test_a_range_may_be_given_and_has_a_copy_of_its_own(tmp_path: Path, told: Told) -> None:
    write_dim_tree(tmp_path / "tree")
    found = grey(tmp_path).clone()
    told()
    given = grey(tmp_path, range=(1000.0, 1200.0))
    assert "decoding 12 images" in told()
    file = tmp_path / "tree" / "b" / "0.png"
    assert np.array_equal(given[6].numpy(), decode(file, channels=1, value_range=(1000, 1200)))
    assert torch.equal(grey(tmp_path), found)
    assert torch.equal(grey(tmp_path, range=(1050.0, 1139.0)), found)
    assert torch.equal(grey(tmp_path, range=(1000.0, 1200.0)), given)
    assert told() == ""


@pytest.mark.parametrize(
    ("low", "high"), [(1200, 1000), (5, 5), (float("-inf"), 5), (0, float("inf"))]
)
def test_a_range_that_is_none_is_refused(low: float, high: float, tmp_path: Path) -> None:
    write_dim_tree(tmp_path / "tree", count=1)
    with pytest.raises(MlrunError, match=r"--dataset.range .*: expected two numbers, the lower"):
        grey(tmp_path, range=(low, high))


def test_few_levels_are_told_each_time_with_the_range(tmp_path: Path, told: Told) -> None:
    tree = write_dim_tree(tmp_path / "tree", count=9)
    hot = np.full((10, 12), 1060, "u2")
    hot[0, 0] = 65535
    write_image(tree / "a" / "hot.png", hot)
    for _ in range(2):
        grey(tmp_path)
        assert (
            "nearly all pixels of the training images lie on 1 of 256 levels, as the values 1050 "
            "to 65535 become 0 to 255; give the range that matters: --dataset.range LOW,HIGH\n"
        ) in told()
    grey(tmp_path, range=(1050.0, 1139.0))
    assert "of 256 levels" not in told()
    (tree / "a" / "hot.png").unlink()
    grey(tmp_path)
    assert "of 256 levels" not in told()
    grey(tmp_path, range=(0.0, 65535.0))
    assert "lie on 1 of 256 levels, as the values 0 to 65535 become" in told()


def test_a_range_that_concerns_no_or_not_all_images_is_told(tmp_path: Path, told: Told) -> None:
    tree = write_tree(tmp_path / "tree")
    load("image-folder", tmp_path, path="tree", range=(1000.0, 1200.0))
    assert told().endswith(
        f"--dataset.range 1000,1200 changes nothing: no image in {tree} has more than 8 bits\n"
    )
    write_image(tree / "a" / "deep.png", (1000 + np.arange(120).reshape(10, 12)).astype("u2"))
    data = load("image-folder", tmp_path, path="tree")
    assert data.value_range == (1000, 1119)
    assert (
        "8 of 9 images have 8 bits and stay as they are, in the others the values 1000 to 1119 "
        "become 0 to 255; --dataset.range LOW,HIGH gives another range\n"
    ) in told()


def test_images_of_8_bits_need_no_range_and_are_decoded_once(tmp_path: Path, told: Told) -> None:
    write_tree(tmp_path / "tree")
    assert load("image-folder", tmp_path, path="tree").value_range is None
    assert told().count("\n") == 1


@pytest.mark.filterwarnings("error")
def test_values_that_cannot_be_used_are_one_line(tmp_path: Path) -> None:
    tree = write_dim_tree(tmp_path / "tree", suffix="tif", dtype=np.float32)
    write_image(tree / "a" / "0.tif", np.full((10, 12), np.nan, np.float32))
    with pytest.raises(MlrunError, match=r"1 of 12 images cannot .*0.tif: its values run from nan"):
        grey(tmp_path)
    assert len(grey(tmp_path, skip_unreadable=True)) == 11
    for path in tree.rglob("*.tif"):
        write_image(path, np.full((10, 12), 7, np.float32))
    with pytest.raises(MlrunError, match=r"every value of the training images in .*tree is 7, so"):
        grey(tmp_path)
    assert grey(tmp_path, range=(0.0, 14.0)).unique().tolist() == [128]


SETTINGS = [
    "--dataset", "image-folder", "--dataset.size", "10,12", "--dataset.channels", "1",
    "--model", "logistic", "--visualisers", "none", "--log-model", "false", "--epochs", "2",
    "--lr", "0.01", "--quiet",
]  # fmt: skip


def test_prediction_and_evaluation_use_the_range_of_the_training(
    store: str, home: Path, command: Command
) -> None:
    write_dim_tree(home / "dim", count=12)
    write_dim_tree(home / "other" / "train", low=0, step=5000)
    write_dim_tree(home / "other" / "test", low=1055)
    code, run_id, stderr = command("train", *SETTINGS, "--dataset.path", str(home / "dim"))
    assert (code, stderr) == (0, "")
    run_id = run_id.strip()
    assert MlflowClient().get_run(run_id).data.tags["mlrun.value_range"] == "1050,1139"
    code, stdout, stderr = command("predict", run_id, "other/test", "--format", "csv")
    assert (code, stderr) == (0, "")
    rows = list(csv.DictReader(io.StringIO(stdout)))
    assert [row["class"] for row in rows] == ["a"] * 6 + ["b"] * 6
    code, stdout, stderr = command("evaluate", run_id, "--dataset.path", str(home / "other"))
    assert (code, stdout.split()[-1]) == (0, "1.0000")
    assert "was trained on" not in stderr
    code, stdout, stderr = command(
        "evaluate", run_id, "--dataset.path", str(home / "other"), "--dataset.range", "0,5100",
        "--name", "wide",
    )  # fmt: skip
    assert (code, stdout.split()[-1]) == (0, "0.5000")
    assert (
        f"the images have values 0 to 5100, those that run {run_id} was trained on values 1050 to "
        "1139; the figures may mean nothing"
    ) in stderr


def test_files_of_another_depth_than_the_training_are_told(
    store: str, home: Path, command: Command
) -> None:
    write_dim_tree(home / "dim")
    write_tree(home / "plain")
    dim, plain = (
        command("train", *SETTINGS, "--dataset.path", str(home / name))[1].strip()
        for name in ("dim", "plain")
    )
    files = ["dim/a/0.png", "plain/a/0.png", "plain/b/0.png"]
    code, stdout, stderr = command("predict", dim, *files)
    assert (code, len(stdout.splitlines())) == (0, 4)
    assert stderr == (
        "Warning: 2 of 3 files, the first plain/a/0.png, have 8 bits and are taken as they are; "
        f"in the images of run {dim}, 1050 to 1139 became 0 to 255, so what it says of these files "
        "may mean nothing\n"
    )
    _, _, stderr = command("predict", plain, *files)
    assert stderr.startswith("Warning: 1 of 3 files, the first dim/a/0.png, have more than 8 bits")


def test_files_that_a_table_names_share_one_range_too(tmp_path: Path, told: Told) -> None:
    tree = write_dim_tree(tmp_path / "tree")
    rows = [f"{path.relative_to(tmp_path)},{path.parent.name}" for path in tree.rglob("*.png")]
    (tmp_path / "list.csv").write_text("\n".join(["file,label", *rows]))
    options = {"train": "list.csv", "path_column": "file", "channels": 1, "size": None}
    data = load("csv", tmp_path, **options)
    assert data.value_range == (1050, 1139)
    given = load("csv", tmp_path, **options, range=(0.0, 65535.0))
    assert given.value_range == (0, 65535)
    assert "csv: nearly all pixels of the training images lie on 1 of 256 levels" in told()


def test_a_range_for_rows_of_pixels_changes_nothing_and_is_told(tmp_path: Path, told: Told) -> None:
    write_csv_example(tmp_path)
    plain = load("csv", tmp_path, train="train.csv")
    given = load("csv", tmp_path, train="train.csv", range=(0.0, 9.0))
    assert torch.equal(plain.train.images, given.train.images)
    assert given.value_range is None
    assert told() == "csv: --dataset.range changes nothing: it is for image files\n"
