"""What somebody else wrote is shown, and does nothing to a terminal or a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from mlflow import MlflowClient
from PIL import Image

from mlrun.cli.runs import fitting, whole_columns
from mlrun.cli.streams import escape_the_unwritable
from mlrun.cli.terminal import COMMANDS, as_json, in_spreadsheet, one_cell, printable
from mlrun.record.overview import last_runs
from mlrun.training.checkpoints import content_digest

Command = Callable[..., tuple[int, str, str]]
EVIL = "a\x1b[2J\x1b]0;title\x07\x9b31m\u202eb\r\nc\td"
SHOWN = r"a\x1b[2J\x1b]0;title\x07\x9b31m\u202eb\x0d\nc\td"


def test_control_characters_are_shown_as_numbers() -> None:
    assert one_cell(EVIL) == SHOWN
    assert printable("a\nb\tc") == "a\nb\tc"
    assert printable("naïve 猫 🙂 – ‘x’") == "naïve 猫 🙂 – ‘x’"
    assert printable("\udcff.png") == r"\xff.png"  # a name of a file that is no text
    for text in (EVIL, "\udcff", "\u2028", "\x7f"):
        assert json.loads(as_json({text: [text]})) == {text: [text]}
        assert not COMMANDS.search(as_json(text))


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1+cmd|x", "'+1+cmd|x"),
        ("-1+1", "'-1+1"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\t=1", "'\t=1"),
        ("-1.5", "-1.5"),
        ("+", "+"),
        ("-", "-"),
        ("cat = dog", "cat = dog"),
        ("a\x1b[31m", r"a\x1b[31m"),
    ],
)
def test_no_cell_is_a_formula(text: str, cell: str) -> None:
    assert in_spreadsheet(text) == cell


def test_names_params_and_states_of_runs_are_shown(finished: str, command: Command) -> None:
    client = MlflowClient()
    client.set_tag(finished, "mlflow.runName", EVIL)
    client.set_tag(finished, "mlrun.status", EVIL)
    other = client.create_run("0", tags={"mlrun.version": "0.1.0"}).info.run_id
    client.log_param(other, "model", EVIL)
    client.log_metric(other, "val/loss", float("nan"))
    _, stdout, _ = command("runs")
    (row,) = (line.split("\t") for line in stdout.splitlines() if finished in line)
    assert (row[1], row[5]) == (SHOWN, SHOWN)
    rows = last_runs(5, None)
    shown = "\n".join(fitting(rows, ["model"], 200))
    assert r"a\x1b[2J\x1b" in shown
    for text in (stdout, shown, *(cell for column in whole_columns(rows, []) for cell in column)):
        assert not COMMANDS.search(text)
    _, stdout, _ = command("runs", "--json")
    assert not COMMANDS.search(stdout)
    names = {run["run_id"]: run for run in json.loads(stdout)["runs"]}
    assert names[finished]["name"] == EVIL
    assert names[other]["metrics"] == {"val/loss": None}  # strict JSON has no NaN
    code, stdout, stderr = command("compare", finished, other)
    assert (code, SHOWN in stderr) == (0, True)
    assert not COMMANDS.search(stdout + stderr)
    assert "\x1b]0;" not in command("predict", finished, "no\x1b]0;x.png")[2]


def test_classes_and_files_are_shown(finished: str, home: Path, command: Command) -> None:
    best = MlflowClient().get_run(finished).data.tags["mlrun.best_epoch"]
    root = Path(MlflowClient().get_run(finished).info.artifact_uri.removeprefix("file://"))
    path = root / "checkpoints" / f"epoch-{best}.pt"
    content = torch.load(path, weights_only=True)
    content["classes"] = [f"={EVIL}{number}" for number in range(10)]
    del content["sha256"]
    torch.save({**content, "sha256": content_digest(content)}, path)
    file = home / "-1+1\x1b[31m.png"
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(file)
    for form in ("table", "csv", "json"):
        code, stdout, _ = command("predict", finished, "--format", form, "--", file.name)
        assert code == 0
        assert not COMMANDS.search(stdout)
        assert r"\x1b[2J" in stdout or r"\u001b[2J" in stdout
        if form == "csv":
            rows = list(csv.reader(io.StringIO(stdout)))
            assert (rows[1][0], rows[0][3][:3]) == (r"'-1+1\x1b[31m.png", "'=a")


def test_a_stream_of_few_characters_gets_escapes_that_json_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="cp437")
    monkeypatch.setattr(sys, "stdout", stream)
    escape_the_unwritable()
    value = {"猫": "🐈 Àé"}
    stream.write(as_json(value) + "\udcff")
    stream.flush()
    text = stream.buffer.getvalue().decode("cp437")
    assert text == r'{"\u732b": "\ud83d\udc08 \u00c0é"}' + r"\xff"
    assert json.loads(text.removesuffix(r"\xff")) == value
