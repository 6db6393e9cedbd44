"""Nothing is printed behind a command's last line, with the libraries that print as they end."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

pytest.importorskip("triton", reason="only with triton does anything print as it ends")
TORCHVISION = ("--model", "torchvision", "--model.arch", "resnet18")
SMALL = ("--epochs", "1", "--subset", "32", "--visualisers", "none")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mlrun", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def train(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run("train", *arguments)


def test_nothing_is_printed_after_a_run(store: str) -> None:
    """Both torchvision, of which the model comes, and the servable model load triton."""
    done = train(*TORCHVISION, *SMALL)
    assert done.returncode == 0, done.stderr
    run_id = done.stdout.splitlines()[-1]
    assert re.fullmatch("[0-9a-f]{32}", run_id)
    assert done.stderr.splitlines()[-1].startswith("all runs: ")
    assert "leaked" not in done.stderr


def test_nothing_is_printed_after_a_quiet_run_nor_by_what_is_done_with_it(
    store: str, home: Path
) -> None:
    done = train(*TORCHVISION, *SMALL, "--validation", "test", "--quiet", "--log-model", "false")
    assert (done.returncode, done.stderr) == (0, "")
    (run_id,) = done.stdout.splitlines()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save("zero.png")
    for command in (["predict", run_id, "zero.png"], ["evaluate", run_id, "--rotate", "5"]):
        done = run(*command)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1].startswith(("zero.png", "test-rotated-5: loss "))
        lines = done.stderr.splitlines()
        assert not lines or lines[-1].startswith("this run: ")


def test_nothing_is_printed_after_an_error(store: str) -> None:
    done = train("--dataset", "mnist", "--quiet")  # its files are not there
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: data set mnist: no ")
