"""Images from CSV files."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
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


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (
            ROWS,
            {"label": "6"},
            r"--dataset.label 6: .* are numbers, and .*train.csv has 1 to 5",
        ),
        (
            ROWS,
            {"label": "kind"},
            "--dataset.label kind: without a header row columns are num",
        ),
        (ROWS, {"pixels": "p"}, "--dataset.pixels p needs a header row"),
        (
            HEAD + ROWS,
            {},
            "row 1, column 2: a; .*; if this is a header row, leave out --data",
        ),
        (ROWS + "1,2,x,4,5\n", {}, "train.csv, row 3, column 3: x; expected a whole number 0–255$"),
        (ROWS + "1,2,3\n", {}, "row 3, column 4: nothing; this row has 3 fields, the first one 5"),
        (ROWS, {"test": "0,1,2,3\n"}, "test.csv has 3 pixel columns, .* has 4; 5 only in one"),
        ("", {}, "train.csv is empty; expected a row for each image"),
        ("1\n2\n", {}, "train.csv has no pixel columns"),
    ],
)
def test_a_file_without_a_header_is_checked_likewise(
    text: str, options: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(MlrunError, match=message):
        read(tmp_path, text, header=False, **options)


def test_numbers_among_names_are_names_where_all_are_listed(tmp_path: Path) -> None:
    data = read(tmp_path, HEAD + "b,1,2,3,4\n0,0,0,0,0\n", classes=("0", "b"))
    assert data.train.labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "train.csv is empty; expected a header row"),
        ("\n\n", "train.csv is empty; expected a header row"),
        (HEAD, "train.csv has a header row and nothing below it"),
        (
            "7,1,2,3,4\n" + ROWS,
            r"has no column label in its first row, but 5: 7, 1, 2, 3, 4; if it "
            "has no header row, say so with --dataset.header false",
        ),
        ("Label,a,b,c,d\n" + ROWS, "has no column label .* did you mean Label"),
        ("label\n0\n", "has no pixel columns … in its first row: label"),
        ("label a b\n0 1 2\n", "has no column label .* parted by a comma, a semicolon, a tab or"),
        ("label,a,a,b,c\n" + ROWS, "has 2 columns called a$"),
        (
            "7,0,0,0,4\n" + ROWS,
            "has 3 columns called 0; if it has no header row, say so with --dataset",
        ),
        (
            "labl,a,b,c,d\n" + ROWS,
            "has no column label .*; did you mean labl\\? Name the column with --",
        ),
        (HEAD + ROWS + "1,2,3,4,256\n", r"row 4, column d \(5\): 256; expected a whole number 0–"),
        (HEAD + ROWS + "1,2,3,-4,5\n", r"row 4, column c \(4\): -4; expected a whole number 0–255"),
        (HEAD + "1,2,0.5,4,5\n" + ROWS, r"row 2, column b \(3\): 0.5; expected a whole number"),
        (HEAD + ROWS + "1,2,x,4,5\n", r"row 4, column b \(3\): x; expected a whole number 0–255"),
        (HEAD + ROWS + "1,2,1_0,4,5\n", r"row 4, column b \(3\): 1_0; expected a whole number"),
        (HEAD + ROWS + "1,2,True,4,5\n", r"row 4, column b \(3\): True; expected a whole number"),
        (HEAD + ROWS + "1,2,nan,4,5\n", r"row 4, column b \(3\): nan; expected a whole number 0–"),
        (HEAD + ROWS + "1,2,,4,5\n", r"row 4, column b \(3\): nothing; expected a whole number"),
        (HEAD + ROWS + "1,2, ,4,5\n", r"row 4, column b \(3\): nothing; expected a whole number"),
        (HEAD + ROWS + f"1,2,{'9' * 5000},4,5\n", r"row 4, column b \(3\): 9{39}…; expected"),
        (
            HEAD + ROWS + "1,2,3\n",
            r"row 4, column c \(4\): nothing; this row has 3 fields, the "
            "header 5",
        ),
        (HEAD + ROWS + "1,2,3,4,5,6\n", "row 4, column 6: 6; this row has 6 fields, the header 5"),
        (HEAD + "1,2,3,4,5,6\n" + ROWS, "row 2, column 6: 6; this row has 6 fields, the header 5"),
        (
            HEAD + "1,2,3,4,5,\n" + ROWS,
            "row 3, column 6: nothing; this row has 5 fields, the first one 6",
        ),
        (HEAD + ROWS + ",2,3,4,5\n", r"row 4, column label \(1\): no label"),
        (HEAD + ROWS + " ,2,3,4,5\n", r"row 4, column label \(1\): no label"),
        (HEAD + "\n" + ROWS + "\n1,2,x,4,5\n", r"row 6, column b \(3\): x;"),
        (HEAD + '"0\n",1,2,3,4\n1,2,x,4,5\n', r"row 4, column b \(3\): x;"),
        (HEAD + ROWS + "1,2,1\0001,4,5\n", r"row 4, column 3: a zero byte \(NUL\) in 1.x001;"),
        (HEAD + ROWS + "1\000,2,3,4,5\n", r"row 4, column 1: a zero byte \(NUL\) in 1.x00;"),
        ("label,a,b\000,c,d\n" + ROWS, r"row 1, column 3: a zero byte \(NUL\) in b"),
        ((HEAD + ROWS).encode("utf-16"), r"row 1, column 1: .*; expected text, saved as UTF-8"),
        (
            HEAD.encode() + b"caf\xe9,1,2,3,4\n",
            r"row 2, column 1: bytes that are not UTF-8 in caf.xe9; ",
        ),
        (HEAD + ROWS + '1,"2,3,4,5\n1,2,3,4,5\n', "row 4: .*; is a quotation mark in it never"),
        (
            HEAD + ROWS + "-1,2,3,4,5\n",
            r"row 4, column label \(1\): label -1; with 3 classes "
            "labels are 0 to 2",
        ),
        (
            HEAD + "-1,2,3,4,5\n",
            r"row 2, column label \(1\): label -1; expected whole numbers",
        ),
        (
            HEAD + ROWS + "1.5,2,3,4,5\n",
            r"row 4, column label \(1\): label 1.5; expected whole",
        ),
        (HEAD + ROWS + "70000,2,3,4,5\n", "labels run to 70000; .* --dataset.num-classes 70001"),
        (HEAD + ROWS + f"{'9' * 5000},2,3,4,5\n", r"row 4, column label \(1\): label 9{39}…; exp"),
        (
            HEAD + ROWS + "b,2,3,4,5\n",
            r"the labels mix numbers and names: 0 \(.*train.csv, row 2, "
            r"column label \(1\)\) and b \(.*, row 4, column label",
        ),
        (HEAD + "b,2,3,4,5\n1.5,2,3,4,5\n", r"names: 1.5 \(.*row 3, .*\) and b \(.*row 2"),
        (b"\x89PNG\xff\n", "row 1, column 1: bytes that are not UTF-8 in"),
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
    with pytest.raises(MlrunError, match=r"row 4323, column c \(4\): 300;"):
        read(tmp_path, HEAD + "".join(lines))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"num_classes": 2},
            r"train.csv, row 3, column label \(1\): label 2; with 2 classes",
        ),
        ({"classes": ("x", "y")}, "label 2; with 2 classes labels are 0 to 1"),
        ({"classes": ("x", "y", "z"), "num_classes": 4}, "num_classes is 4, but classes has 3"),
        ({"channels": 3}, "4 pixel columns are not 3 × 1 × 1; give --dataset.height"),
        ({"height": 3}, r"4 pixel columns are not 1 × 3 × 1"),
        ({"height": 4, "width": 4}, r"4 pixel columns are not 1 × 4 × 4"),
        ({"height": 0}, r"4 pixel columns are not"),
        ({"pixels": "q"}, "has no pixel columns q… in its first row: label, a, b, c, d"),
        ({"label": "kind"}, "has no column kind in its first row, but 5: label, a, b, c, d"),
        ({"test": HEAD + "3,0,0,0,0\n", "num_classes": 3}, r"test.csv, row 2, .*: label 3; with 3"),
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
    with pytest.raises(MlrunError, match=r"test.csv, row 2, .*: label bird is not among the 2"):
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
