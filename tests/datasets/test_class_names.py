"""Classes, files and folders of any name: they come through every output, legible."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_files import drawn, load, write_image
from runs import QUICK, logged, read

import mlrun
from mlrun import ImageData, MlrunError, Part
from mlrun.finished.read import read_account
from mlrun.record.logged import find_run

Command = Callable[..., tuple[int, str, str]]
NAMES = {  # as the folder is called, in bytes, and as it is shown
    b"\xff": r"\xff",
    "猫".encode(): "猫",
    "🐈".encode(): "🐈",
    "חתול".encode(): "חתול",
    b" blank ": " blank ",
    b"two\nlines": r"two\nlines",
    b"tab\t\x1b[31m": r"tab\t\x1b[31m",
    b"<b>&amp;<script>": "<b>&amp;<script>",
    b"=cmd()": "=cmd()",
    b"\"quoted\", 'so'": "\"quoted\", 'so'",
    b"$x_1$": "$x_1$",
    b"long" * 60: "long" * 60,
}


@pytest.fixture
def tree(home: Path) -> Path:
    """Folders of two images each, in a folder whose name is no UTF-8 either."""
    root = home / os.fsdecode(b"data\xfe")
    for place, name in enumerate(NAMES):
        for part, count in (("train", 3), ("test", 1)):
            for number in range(count):
                shade = drawn(8, 8, 3, seed=number) // 4 + 15 * place
                folder = root / part / os.fsdecode(name)
                write_image(folder / f"{number}.png", shade.astype(np.uint8))
    return root


def test_class_folders_of_any_name_come_through_every_output(
    store: str, tree: Path, tmp_path: Path, command: Command
) -> None:
    shown = sorted(NAMES.values())
    settings: dict[str, Any] = {
        **QUICK,
        "dataset": "image-folder",
        "dataset.path": str(tree),
        "dataset.size": "8",
        "dataset.workers": "1",
        "visualisers": "class-distribution,misclassified",
    }
    run = mlrun.train(settings)
    assert run.failures == {}
    found = logged(run.run_id)
    assert found.info.status == "FINISHED"
    assert found.data.params["dataset.path"] == str(tree).replace("\udcfe", r"\xfe")
    account = read_account(find_run(run.run_id), tmp_path)
    assert sorted(account.classes) == shown
    page = read(run.run_id, "report.html").decode()
    assert "<b>" not in page.partition("<body")[2].partition("<script")[0]
    folder = tmp_path / "new"
    image = next((tree / "test").rglob("*.png"))
    for name in (b"\xfe.png", "狗.png".encode(), b"a\nb.png", b"=x.png"):
        folder.mkdir(exist_ok=True)
        (folder / os.fsdecode(name)).write_bytes(image.read_bytes())
    files = [f"{folder}/{name}" for name in ("=x.png", r"a\nb.png", "狗.png", r"\xfe.png")]
    code, stdout, stderr = command("predict", run.run_id, str(folder))
    assert (code, stderr) == (0, "")
    header, *lines = stdout.splitlines()
    assert header.split() == ["file", "class", "probability"]
    assert [line.split(".png")[0] + ".png" for line in lines] == files
    files[1] = f"{folder}/a\nb.png"  # which CSV and JSON can say
    text = command("predict", run.run_id, str(folder), "--format", "csv")[1]
    header, *rows = csv.reader(io.StringIO(text))
    assert sorted(name.removeprefix("'") for name in header[3:]) == shown
    assert [row[0] for row in rows] == files
    text = command("predict", run.run_id, str(folder), "--format", "json")[1]
    rows = json.loads(text)
    assert [Path(row["file"]) for row in rows] == sorted(folder.iterdir())
    assert all(sorted(row["probabilities"]) == shown for row in rows)


def test_a_file_that_is_not_there_is_named_though_its_name_is_no_text(
    finished: str, command: Command
) -> None:
    code, stdout, stderr = command("predict", finished, os.fsdecode(b"no\xff.png"))
    assert (code, stdout) == (2, "")
    assert stderr == "Error: no\\xff.png: no such file or folder\n"
    code, _, stderr = command("train", "--plugin", os.fsdecode(b"no\xff.py"))
    assert stderr.startswith("Error: --plugin no\\xff.py: no such file; ")


def test_two_classes_that_are_shown_alike_are_refused(tmp_path: Path) -> None:
    for name in (b"\xff", rb"\xff", b"b"):
        write_image(tmp_path / "tree" / os.fsdecode(name) / "0.png", drawn(8, 8, 3))
    with pytest.raises(MlrunError, match="expected a different name for each class"):
        load("image-folder", tmp_path, path="tree")


def test_class_names_of_a_plugin_become_legible() -> None:
    import torch

    part = Part(torch.zeros(2, 1, 2, 2, dtype=torch.uint8), torch.arange(2))
    data = ImageData(part, ("a\udcff\r\n", "\u2028é\ud800"))
    data.check()
    assert data.classes == (r"a\xff\x0d\n", "\\u2028é\\ud800")
