"""Nothing is printed behind a command's last line, with the libraries that print as they end."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

pytest.importorskip("triton", reason="only with triton does anything print as it ends")
TORCHVISION = ("--model", "torchvision", "--model.arch", "resnet18")
SMALL = ("--epochs", "1", "--subset", "32", "--visualisers", "none")


def train(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mlrun", "train", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_nothing_is_printed_after_a_run(store: str) -> None:
    """Both torchvision, of which the model comes, and the servable model load triton."""
    done = train(*TORCHVISION, *SMALL)
    assert done.returncode == 0, done.stderr
    run_id = done.stdout.splitlines()[-1]
    assert re.fullmatch("[0-9a-f]{32}", run_id)
    assert done.stderr.splitlines()[-1].startswith("all runs: ")
    assert "leaked" not in done.stderr


def test_nothing_is_printed_after_an_error(store: str) -> None:
    done = train("--dataset", "mnist", "--quiet")  # its files are not there
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: data set mnist: no ")
