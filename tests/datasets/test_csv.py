"""Images from CSV files."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
from pathlib import Path

import numpy as np
import pytest
from csv_text import HEAD, ROWS, read
from data_files import drawn, load, write_table
from mlflow import MlflowClient

import mlrun
from mlrun import MlrunError


def test_pixels_and_labels_are_those_of_the_files(tmp_path: Path) -> None:
    pixels = {name: drawn(5000 if name == "train" else 7, 16, seed=len(name))
              for name in ("train", "validation", "test")}  # fmt: skip
    for name, array in pixels.items():
        write_table(tmp_path / "tables" / f"{name}.csv", [n % 3 for n in range(len(array))], array)
    data = load("csv", tmp_path, **{name: f"tables/{name}.csv" for name in pixels})
    assert list(data.parts) == list(pixels)
    for name, part in data.parts.items():
        assert np.array_equal(part.images.numpy(), pixels[name].reshape(-1, 1, 4, 4))
        assert part.labels.tolist() == [n % 3 for n in range(len(pixels[name]))]
    assert str(tmp_path / "tables" / "train.csv") in data.source


def test_a_full_path_needs_no_data_folder(tmp_path: Path) -> None:
    write_table(tmp_path / "here.csv", [0, 1], drawn(2, 4))
    data = load("csv", Path("nowhere"), train=str(tmp_path / "here.csv"))
    assert data.shape == (1, 2, 2)


def test_gaps_in_the_labels_are_kept(tmp_path: Path) -> None:
    """As in Sign Language MNIST: 0 to 24 without 9, and 26 outputs."""
    labels = [n for n in range(25) if n != 9]
    write_table(tmp_path / "train.csv", labels, drawn(24, 4))
    plain = load("csv", tmp_path, train="train.csv")
    assert plain.classes == tuple(map(str, range(25)))
    assert plain.train.labels.tolist() == labels
    assert len(load("csv", tmp_path, train="train.csv", num_classes=26).classes) == 26
    letters = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    named = load("csv", tmp_path, train="train.csv", classes=letters)
    assert named.classes == letters
    assert named.train.labels.tolist() == labels


def test_labels_may_be_names(tmp_path: Path) -> None:
    text = HEAD + "dog,1,2,3,4\ncat,0,0,0,0\nNA,1,1,1,1\n"
    data = read(tmp_path, text, test=HEAD + "cat,1,2,3,4\n")
    assert data.classes == ("NA", "cat", "dog")
    assert data.train.labels.tolist() == [2, 1, 0]
    assert data.parts["test"].labels.tolist() == [1]
    ordered = read(tmp_path, text, classes=("dog", "cat", "NA", "bird"))
    assert ordered.train.labels.tolist() == [0, 1, 2]
    assert len(ordered.classes) == 4


def test_names_that_are_numbers_are_names(tmp_path: Path) -> None:
    data = read(tmp_path, HEAD + "3,1,2,3,4\n1,0,0,0,0\n", classes=("1", "2", "3"))
    assert data.train.labels.tolist() == [2, 0]


def test_the_highest_label_of_any_file_counts(tmp_path: Path) -> None:
    data = read(tmp_path, HEAD + ROWS, test=HEAD + "5,0,0,0,0\n")
    assert len(data.classes) == 6


def test_columns_are_found_by_name(tmp_path: Path) -> None:
    text = "id,p1,p2,use,kind\n17,1,2,train,0\n18,3,4,test,1\n"
    data = read(tmp_path, text, label="kind", pixels="p", height=1)
    assert data.train.images.flatten(1).tolist() == [[1, 2], [3, 4]]
    assert data.shape == (1, 1, 2)
    other = read(tmp_path, HEAD + ROWS, test="d,c,b,a,label\n4,3,2,1,0\n")
    assert other.parts["test"].images.flatten().tolist() == [1, 2, 3, 4]


def test_colour_comes_by_channel_or_by_pixel(tmp_path: Path) -> None:
    pixels = drawn(4, 3 * 2 * 5)
    write_table(tmp_path / "train.csv", [0, 1, 0, 1], pixels)
    planes = load("csv", tmp_path, train="train.csv", channels=3, width=5)
    assert np.array_equal(planes.train.images.numpy(), pixels.reshape(4, 3, 2, 5))
    mixed = load("csv", tmp_path, train="train.csv", channels=3, height=2, layout="hwc")
    expected = pixels.reshape(4, 2, 5, 3).transpose(0, 3, 1, 2)
    assert np.array_equal(mixed.train.images.numpy(), expected)


def test_what_programs_write_around_the_numbers_is_taken(tmp_path: Path) -> None:
    expected = [[1, 2, 3, 4], [255, 0, 9, 8]]
    for text in (
        "\ufeff" + HEAD + ROWS,
        (HEAD + ROWS).replace("\n", "\r\n"),
        HEAD + ROWS + "\n\n",
        'label,"a","b",c,d\n"0",1,2,"3",4\n2.0,255.0,0,9,8\n',
        HEAD + ROWS.replace("\n", ",\n"),
        (HEAD + ROWS).replace("\n", ",\n"),
        (HEAD + ROWS).replace("\n", "\r"),
        (HEAD + ROWS).replace(",", ";"),
        (HEAD + ROWS).replace(",", "\t"),
        (HEAD + ROWS).replace(",", " , "),
        ",label,a,b,c,d\n0,0,1,2,3,4\n1,2,255,0,9,8\n",
        HEAD + "0,1,2,3,4.00e+00\n2,2.55e+02,0,9,8\n",
    ):
        data = read(tmp_path, text)
        assert data.train.images.flatten(1).tolist() == expected
        assert data.train.labels.tolist() == [0, 2]


def test_a_packed_file_is_unpacked(tmp_path: Path) -> None:
    plain = (HEAD + ROWS).encode()
    for suffix, module in (("gz", gzip), ("bz2", bz2), ("xz", lzma)):
        (tmp_path / f"train.csv.{suffix}").write_bytes(module.compress(plain))
    for name, members in (("train.csv.zip", ["a.csv"]), ("two.zip", ["a.csv", "b.csv"])):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for member in members:
                archive.writestr(member, plain)
    for suffix in ("gz", "bz2", "xz", "zip"):
        data = load("csv", tmp_path, train=f"train.csv.{suffix}")
        assert data.train.images.flatten(1).tolist() == [[1, 2, 3, 4], [255, 0, 9, 8]]
    with pytest.raises(MlrunError, match=r"two.zip holds 2 files; expected one, the table"):
        load("csv", tmp_path, train="two.zip")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(plain)[:-9])
    with pytest.raises(MlrunError, match=r"cannot read .*cut.gz: EOFError"):
        load("csv", tmp_path, train="cut.gz")


def test_without_a_header_columns_are_numbers_and_the_label_is_the_first(tmp_path: Path) -> None:
    data = read(tmp_path, ROWS, header=False, test="1,9,9,9,9\n")
    assert data.train.images.flatten(1).tolist() == [[1, 2, 3, 4], [255, 0, 9, 8]]
    assert data.train.labels.tolist() == [0, 2]
    assert data.parts["test"].labels.tolist() == [1]
    last = read(tmp_path, ROWS, header=False, label="5")
    assert last.train.images.flatten(1).tolist() == [[0, 1, 2, 3], [2, 255, 0, 9]]
    assert last.train.labels.tolist() == [4, 8]


def test_numbers_among_names_are_names_where_all_are_listed(tmp_path: Path) -> None:
    data = read(tmp_path, HEAD + "b,1,2,3,4\n0,0,0,0,0\n", classes=("0", "b"))
    assert data.train.labels.tolist() == [1, 0]


def test_a_run_trains_on_csv_files(store: str, tmp_path: Path) -> None:
    shades = np.repeat([[30], [220]], 50, 0) + drawn(100, 16) // 8
    write_table(tmp_path / "train.csv", ["dark"] * 50 + ["light"] * 50, shades)
    write_table(tmp_path / "test.csv", ["light", "dark"], shades[[99, 0]])
    run = mlrun.train(
        {
            "data_dir": tmp_path,
            "dataset": "csv",
            "dataset.train": "train.csv",
            "dataset.test": "test.csv",
            "model": "logistic",
            "epochs": 5,
            "lr": 0.1,
            "visualisers": "none",
            "log_model": False,
        }
    )
    assert run.metrics["test/accuracy"] == 1.0
    assert MlflowClient().get_run(run.run_id).data.params["dataset.train"] == "train.csv"
