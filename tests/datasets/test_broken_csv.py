"""CSV files that cannot be read, and options that do not fit them: named with the place."""

from __future__ import annotations

from pathlib import Path

import pytest
from csv_text import HEAD, ROWS, read
from data_files import drawn, load, write_table

from mlrun import MlrunError


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
