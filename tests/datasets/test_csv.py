"""Images from CSV files."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from data_files import drawn, load, write_table
from mlflow import MlflowClient

import mlrun
from mlrun import ImageData, MlrunError

HEAD = "label,a,b,c,d\n"
ROWS = "0,1,2,3,4\n2,255,0,9,8\n"


def read(root: Path, text: str | bytes, **options: object) -> ImageData:
    """Loads `text` as the training file, and `validation` or `test` where they are texts."""
    files = {"train": text}
    files |= {part: str(options.pop(part)) for part in ("validation", "test") if part in options}
    for name, content in files.items():
        data = content if isinstance(content, bytes) else content.encode()
        (root / f"{name}.csv").write_bytes(data)
    return load("csv", root, **{name: f"{name}.csv" for name in files}, **options)


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
    ):
        data = read(tmp_path, text)
        assert data.train.images.flatten(1).tolist() == expected
        assert data.train.labels.tolist() == [0, 2]
    (tmp_path / "train.csv.gz").write_bytes(gzip.compress((HEAD + ROWS).encode()))
    packed = load("csv", tmp_path, train="train.csv.gz")
    assert packed.train.images.flatten(1).tolist() == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "train.csv is empty; expected a header row with label"),
        (HEAD, "train.csv has a header row and nothing below it"),
        ("7,1,2,3,4\n" + ROWS, r"has no column label in its first row, but 5: 7, 1, 2, 3, 4"),
        ("label\n0\n", "has no pixel columns … in its first row: label"),
        ("label,a,a,b,c\n" + ROWS, "has 2 columns called a"),
        (HEAD + ROWS + "1,2,3,4,256\n", "row 3, column d: 256; expected a whole number 0–255"),
        (HEAD + ROWS + "1,2,3,-4,5\n", "row 3, column c: -4; expected a whole number 0–255"),
        (HEAD + "1,2,0.5,4,5\n" + ROWS, "row 1, column b: 0.5; expected a whole number 0–255"),
        (HEAD + ROWS + "1,2,x,4,5\n", "row 3, column b: x; expected a whole number 0–255"),
        (HEAD + ROWS + "1,2,nan,4,5\n", "row 3, column b: nan; expected a whole number 0–255"),
        (HEAD + ROWS + "1,2,,4,5\n", "row 3, column b: nothing; expected a whole number 0–255"),
        (HEAD + ROWS + "1,2,3\n", "row 3, column c: nothing; expected a whole number 0–255"),
        (HEAD + ROWS + "1,2,3,4,5,6\n", "Expected 5 fields in line 4, saw 6"),
        (HEAD + "1,2,3,4,5,6\n" + ROWS, "has rows with more fields than its first row"),
        (HEAD + ROWS + ",2,3,4,5\n", "row 3: no label"),
        (HEAD + ROWS + "-1,2,3,4,5\n", "row 3: label -1; with 3 classes labels are 0 to 2"),
        (HEAD + ROWS + "70000,2,3,4,5\n", "labels run to 70000; .* --dataset.num-classes 70001"),
        (b"\x89PNG\xff\n", "cannot read .*train.csv: UnicodeDecodeError"),
    ],
)
def test_a_broken_file_is_named_with_the_place(
    text: str | bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(MlrunError, match=message) as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)
    if "num-classes" not in message:
        assert str(tmp_path / "train.csv") in str(caught.value)


def test_a_row_far_down_is_counted_right(tmp_path: Path) -> None:
    lines = ["0,1,2,3,4\n"] * 5000
    lines[4321] = "0,1,2,300,4\n"
    with pytest.raises(MlrunError, match="row 4322, column c: 300;"):
        read(tmp_path, HEAD + "".join(lines))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 2}, "train.csv, row 2: label 2; with 2 classes labels are 0 to 1"),
        ({"classes": ("x", "y")}, "label 2; with 2 classes labels are 0 to 1"),
        ({"classes": ("x", "y", "z"), "num_classes": 4}, "num_classes is 4, but classes has 3"),
        ({"channels": 3}, "4 pixel columns are not 3 × 1 × 1; give --dataset.height"),
        ({"height": 3}, r"4 pixel columns are not 1 × 3 × 1"),
        ({"height": 4, "width": 4}, r"4 pixel columns are not 1 × 4 × 4"),
        ({"height": 0}, r"4 pixel columns are not"),
        ({"pixels": "q"}, "has no pixel columns q… in its first row: label, a, b, c, d"),
        ({"label": "kind"}, "has no column kind in its first row, but 5: label, a, b, c, d"),
        ({"test": HEAD + "3,0,0,0,0\n", "num_classes": 3}, "test.csv, row 1: label 3; with 3"),
        (
            {"test": "label,a,b,c\n0,1,1,1\n"},
            r"test.csv has 3 pixel columns, .* has 4; d ",
        ),
    ],
)
def test_options_that_do_not_fit_the_files_are_refused(
    options: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(MlrunError, match=message):
        read(tmp_path, HEAD + ROWS, **options)


def test_names_that_are_not_classes_are_refused(tmp_path: Path) -> None:
    text = HEAD + "dog,1,2,3,4\ncat,0,0,0,0\n"
    with pytest.raises(MlrunError, match=r"test.csv, row 1: label bird is not among the 2 classes"):
        read(tmp_path, text, test=HEAD + "bird,0,0,0,0\n")
    with pytest.raises(MlrunError, match="num_classes is 5, but the labels are 2 names"):
        read(tmp_path, text, num_classes=5)


def test_a_missing_file_is_named_with_the_way_out(home: Path) -> None:
    with pytest.raises(MlrunError) as caught:
        load("csv", home / "data", train="train.csv")
    path = home / "data" / "train.csv"
    assert str(caught.value) == (
        f"--dataset.train train.csv: no {path}; give its full path, or name the folder it is in "
        "with --data-dir"
    )
    write_table(home / "train.csv", [0, 1], drawn(2, 4))
    with pytest.raises(MlrunError) as caught:
        load("csv", home / "data", train="train.csv")
    found = f"there is one in the working directory: give {home / 'train.csv'}"
    assert str(caught.value).endswith(found)


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
