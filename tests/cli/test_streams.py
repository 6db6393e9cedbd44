"""mlrun.cli.streams: who does not read what a command prints, costs the lines and not the run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet
from runs import heed_interrupts, only_run, plugin

COMMAND = [sys.executable, "-m", "mlrun", "train", "--visualisers", "none", "--log-model", "false"]
SHORT = ("--epochs", "2", "--subset", "100", "--threads", "1")
TALKATIVE = """
import math, sys
from torch import nn

class Net(nn.Module):
    def __init__(self, shape, classes):
        super().__init__()
        self.layer = nn.Linear(math.prod(shape), classes)

    def forward(self, images):
        print("out" * 1000, flush=True)
        print("err" * 1000, file=sys.stderr)
        return self.layer(images.flatten(1))

def talkative(shape, classes):
    return Net(shape, classes)

@mlrun.hookimpl
def register_models(register):
    register(talkative)
"""


def slow(value: str) -> ParameterSet:
    return pytest.param(value, marks=pytest.mark.slow)


@contextmanager
def running(*more: str, **streams: object) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([*COMMAND, *more], preexec_fn=heed_interrupts, **streams) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("which", [*map(slow, ["stdout", "stderr"]), "both"])
def test_a_reader_who_goes_away(store: str, tmp_path: Path, which: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    streams = ("stdout", "stderr") if which == "both" else (which,)
    names = ("--model", "talkative", "--plugin", plugin(tmp_path, TALKATIVE))
    others = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with running(*SHORT, *names, **{**others, **dict.fromkeys(streams, writing)}) as process:
        os.close(writing)
        assert process.wait(120) == 0
    assert only_run().info.status == "FINISHED"


@pytest.mark.parametrize("redirection", [*map(slow, [">&-", "2>&-", "<&-"]), ">&- 2>&-"])
def test_a_stream_that_is_closed_from_the_start(store: str, redirection: str) -> None:
    line = f'exec "$@" {redirection}'
    done = subprocess.run(["sh", "-c", line, "sh", *COMMAND, *SHORT], capture_output=True)
    assert done.returncode == 0
    assert only_run().info.status == "FINISHED"


@pytest.mark.slow
def test_a_reader_who_does_not_read_keeps_nobody(store: str, tmp_path: Path) -> None:
    names = ("--model", "talkative", "--plugin", plugin(tmp_path, TALKATIVE))
    both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with running("--epochs", "30", *SHORT[2:], *names, **both) as process:
        assert process.wait(120) == 0
    assert only_run().info.status == "FINISHED"


def test_an_interrupted_run_ends_though_nobody_reads(store: str) -> None:
    reading, writing = os.pipe()
    with running("--epochs", "100000", stdout=writing, stderr=subprocess.PIPE) as process:
        os.close(writing)
        assert process.stderr is not None
        while not process.stderr.readline().startswith(b"epoch 1/"):
            assert process.poll() is None
        process.stderr.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 130
    os.close(reading)
    assert only_run().info.status == "KILLED"
