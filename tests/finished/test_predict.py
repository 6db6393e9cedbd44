"""mlrun predict: image files to classes and probabilities."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from mlflow import MlflowClient
from PIL import Image
from sklearn.datasets import load_digits

from mlrun.preparing.weights import best_weights
from mlrun.record.logged import find_run

Command = Callable[..., tuple[int, str, str]]
DIGITS = (load_digits().images * 255 / 16).round().astype(np.uint8)


@pytest.fixture
def pictures(home: Path) -> Path:
    """A folder of six digits as PNG files, one of them in a folder inside."""
    folder = home / "pictures"
    (folder / "more").mkdir(parents=True)
    for place in range(5):
        Image.fromarray(DIGITS[place]).save(folder / f"{place}.png")
    Image.fromarray(DIGITS[5]).save(folder / "more" / "5.png")
    (folder / "notes.txt").write_text("not a picture")
    (folder / ".hidden.png").write_bytes(b"not one either")
    return Path("pictures")


def softmax_by_hand(run_id: str, digits: np.ndarray) -> np.ndarray:
    """Probabilities of raw digits, from the logged checkpoint and torch's functions alone."""
    import torch.nn.functional as F

    weights = best_weights(find_run(run_id))
    w = weights.model
    images = (torch.tensor(digits[:, None]) / 255 - weights.mean[0]) / weights.std[0]
    hidden = F.conv2d(images, w["conv1.weight"], w.get("conv1.bias"), padding="same")
    statistics = w["norm1.running_mean"], w["norm1.running_var"]
    hidden = F.relu(F.batch_norm(hidden, *statistics, w["norm1.weight"], w["norm1.bias"]))
    hidden = F.max_pool2d(hidden, 2).flatten(1)
    return F.linear(hidden, w["out.weight"], w["out.bias"]).softmax(1).numpy()


def test_a_csv_holds_the_softmax_of_the_logits_of_each_class(
    finished: str, pictures: Path, command: Command
) -> None:
    code, stdout, stderr = command("predict", finished, str(pictures), "--format", "csv")
    assert (code, stderr) == (0, "")
    header, *rows = csv.reader(io.StringIO(stdout))
    assert header == ["file", "class", "probability", *"0123456789"]
    assert [row[0] for row in rows] == [
        *(f"pictures/{place}.png" for place in range(5)),
        "pictures/more/5.png",
    ]
    wanted = softmax_by_hand(finished, DIGITS[:6])
    np.testing.assert_allclose([[float(p) for p in row[3:]] for row in rows], wanted, atol=2e-6)
    assert [row[1] for row in rows] == [str(k) for k in wanted.argmax(1)]
    assert [float(row[2]) for row in rows] == [max(float(p) for p in row[3:]) for row in rows]


def test_json_says_the_same_as_the_csv(finished: str, pictures: Path, command: Command) -> None:
    _, text, _ = command("predict", finished, str(pictures), "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    code, stdout, _ = command("predict", finished[:6], str(pictures), "--format", "json")
    assert code == 0
    for one, row in zip(json.loads(stdout), rows, strict=True):
        assert (one["file"], one["class"]) == (row["file"], row["class"])
        assert one["probability"] == float(row["probability"])
        assert one["probabilities"] == {k: float(row[k]) for k in "0123456789"}
        ranked = list(one["probabilities"].values())
        assert ranked == sorted(ranked, reverse=True)
    _, stdout, _ = command("predict", finished, "pictures/0.png", "--format=json", "--top=2")
    (one,) = json.loads(stdout)
    assert len(one["probabilities"]) == 2


def test_a_table_shows_the_first_classes(finished: str, pictures: Path, command: Command) -> None:
    probabilities = softmax_by_hand(finished, DIGITS[[1]])[0]
    best, second = probabilities.argsort()[::-1][:2]
    code, stdout, _ = command("predict", finished, "pictures/1.png")
    assert code == 0
    assert [line.split() for line in stdout.splitlines()] == [
        ["file", "class", "probability"],
        ["pictures/1.png", str(best), f"{probabilities[best]:.4f}"],
    ]
    _, stdout, _ = command("predict", finished, "pictures/1.png", "--top", "2")
    assert stdout.splitlines()[1].split()[3:] == [str(second), f"{probabilities[second]:.4f}"]


def test_a_file_that_cannot_be_read_is_named_and_the_others_are_classified(
    finished: str, pictures: Path, command: Command
) -> None:
    (pictures / "2.png").write_bytes(b"no picture")
    code, stdout, stderr = command("predict", finished, str(pictures), "--format", "json")
    assert code == 1
    assert [Path(one["file"]).name for one in json.loads(stdout)] == [
        "0.png", "1.png", "3.png", "4.png", "5.png"
    ]  # fmt: skip
    assert stderr == ("Warning: cannot read pictures/2.png: it is not an image that Pillow knows\n")
    code, stdout, _ = command("predict", finished, "pictures/2.png", "--format", "json")
    assert (code, json.loads(stdout)) == (1, [])


def test_more_files_than_a_batch_come_out_in_their_order(
    finished: str, pictures: Path, command: Command
) -> None:
    places = [place % 5 for place in range(600)]
    files = [f"pictures/{place}.png" for place in places]
    _, stdout, _ = command("predict", finished, *files, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(stdout)))
    assert [row["file"] for row in rows] == files
    best = softmax_by_hand(finished, DIGITS[:5]).argmax(1)
    assert [row["class"] for row in rows] == [str(best[place]) for place in places]


def test_photographs_of_any_size_and_colour_are_brought_to_the_run_s(
    finished: str, home: Path, command: Command
) -> None:
    enlarged = Image.fromarray(DIGITS[3]).resize((80, 80), Image.Resampling.NEAREST)
    enlarged.convert("RGB").save("large.png")
    seen = np.asarray(enlarged.resize((8, 8), Image.Resampling.BILINEAR))
    code, stdout, _ = command("predict", finished, "large.png", "--format", "csv")
    (row,) = csv.DictReader(io.StringIO(stdout))
    (wanted,) = softmax_by_hand(finished, seen[None])
    assert code == 0
    np.testing.assert_allclose([float(row[k]) for k in "0123456789"], wanted, atol=2e-6)


def test_neither_the_data_set_nor_its_plugin_is_needed(
    store: str, home: Path, command: Command
) -> None:
    (home / "stripes").mkdir()
    code = (
        "import mlrun\n"
        "def bars(root, *, files: str):\n"
        "    import torch\n"
        "    from pathlib import Path\n"
        "    Path(files).read_text()\n"
        "    images = torch.zeros(40, 3, 8, 12, dtype=torch.uint8)\n"
        "    images[20:, :, :, 6:] = 255\n"
        "    return mlrun.ImageData((images, torch.arange(40) // 20), ('dark', 'half-lit'))\n"
        "@mlrun.hookimpl\n"
        "def register_datasets(register):\n"
        "    register(bars)\n"
    )
    (home / "bars.py").write_text(code)
    (home / "data.txt").write_text("here")
    settings = ["--model", "logistic", "--visualisers", "none", "--log-model", "false", "--quiet"]
    given = ["--plugin", "bars.py", "--dataset", "bars", "--dataset.files", "data.txt"]
    code_, run_id, stderr = command("train", *settings, *given)
    assert code_ == 0, stderr
    (home / "data.txt").unlink()
    picture = np.zeros((16, 24, 3), np.uint8)
    picture[:, 12:] = 255
    Image.fromarray(picture).save("lit.png")
    code_, stdout, _ = command("predict", run_id.strip(), "lit.png")
    assert code_ == 0
    assert stdout.splitlines()[1].split()[:2] == ["lit.png", "half-lit"]


@pytest.mark.slow
def test_a_reader_that_stops_early_is_no_error(finished: str, pictures: Path) -> None:
    files = ["pictures/0.png"] * 3000
    done = subprocess.run(
        ["bash", "-c", '"$@" | head -n 1', "-", sys.executable, "-m", "mlrun", "predict",
         finished, *files],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.split() == ["file", "class", "probability"]
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["RUN"], "mlrun predict: Missing argument 'FILE…'."),
        (["RUN", "pictures", "no.png"], "no.png: no such file or folder"),
        (["RUN", "empty"], "folder empty: there is no image file in it"),
        (["RUN", "pipe.png"], "pipe.png: it is a pipe"),
        (["RUN", "/dev/zero"], "/dev/zero: it is a device"),
        (["RUN", "link"], "link: it is a link that leads to itself"),
        (["beef", "pictures"], "no run beef in sqlite:///"),
        (["RUN", "pictures", "--format", "xml"], "mlrun predict: Invalid value for '--format'"),
        (["RUN", "pictures", "--top", "0"], "mlrun predict: Invalid value for '--top'"),
        (["RUN", "pictures", "--device", "tpu"], "device tpu is not here; there are: "),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(
    finished: str, pictures: Path, command: Command, args: list[str], message: str
) -> None:
    Path("empty").mkdir()
    Path("link").symlink_to("link")
    os.mkfifo("pipe.png")
    code, stdout, stderr = command("predict", *(finished if a == "RUN" else a for a in args))
    assert (code, stdout) == (2, "")
    (line,) = stderr.splitlines()
    assert line.startswith(f"Error: {message}")


def test_predicting_logs_nothing(finished: str, pictures: Path, command: Command) -> None:
    before = MlflowClient().get_run(finished).to_dictionary()
    command("predict", finished, str(pictures))
    assert MlflowClient().get_run(finished).to_dictionary() == before
