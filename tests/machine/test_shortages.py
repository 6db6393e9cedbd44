"""What the machine gives no more of is told in words, whoever says it in which way."""

from __future__ import annotations

import errno
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from runs import QUICK, artifacts, only_run, plugin, read

from mlrun import train
from mlrun.machine.shortages import shortage

SENDING = ("mlrun-outbox", "mlrun-journal")  # names of threads
Command = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RuntimeError("can't start new thread"), "no thread to go on with, see ulimit -u (can't"),
        (MemoryError(), "out of memory (MemoryError)"),
        (RuntimeError("could not create a primitive"), "out of memory (RuntimeError: could not"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "out of memory ("),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), "out of memory (Runtime"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "out of memory (OSError"),
        (ImportError("x.so: failed to map segment from shared object"), "out of memory (Import"),
        (OSError(errno.EMFILE, "Too many open files", "/x"), "too many open files, see ulimit -n"),
        (OSError(errno.ENOSPC, "No space left"), "disk full: there is no space left for /state"),
        (OSError(errno.EDQUOT, "Quota", "/x"), "disk full: there is no space left for /x"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_shortage_is_told_in_words(error: Exception, words: str) -> None:
    assert str(shortage(error, "/state")).startswith(words)
    behind = RuntimeError("unexpected pos 30272 vs 30164")  # as torch says it, after the other
    behind.__context__ = error
    assert str(shortage(behind, "/state")).startswith(words)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("out of memory is a text here"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        SystemError("error return without exception set"),  # where memory is not limited
        FileNotFoundError(errno.ENOENT, "No such file"),
    ],
    ids=repr,
)
def test_other_errors_are_none(error: Exception) -> None:
    assert shortage(error) is None


def test_a_cause_that_was_put_aside_is_none() -> None:
    error = ValueError("odd")
    error.__context__, error.__suppress_context__ = MemoryError(), True
    assert shortage(error) is None


FAILING = """
def failing(shape, classes):
    raise {error}

class Late(__import__("torch").nn.Linear):
    def forward(self, images):
        if self.training:
            raise {error}
        return super().forward(images.flatten(1))

def late(shape, classes):
    return Late(shape[0] * shape[1] * shape[2], classes)

@mlrun.hookimpl
def register_models(register):
    register(failing)
    register(late)
"""


@pytest.mark.parametrize("error", ['RuntimeError("can\'t start new thread")', "MemoryError()"])
def test_a_run_that_is_short_of_something_ends_in_one_line(
    store: str, tmp_path: Path, command: Command, error: str
) -> None:
    file = plugin(tmp_path, FAILING.format(error=error))
    options = ["--visualisers", "none", "--log-model", "false", "--quiet"]
    code, _, err = command("train", "--plugin", file, "--model", "late", *options)
    run = only_run()
    reason = run.data.tags["mlrun.reason"]
    assert (code, run.info.status) == (1, "FAILED")
    assert reason.startswith(("no thread to go on with", "out of memory"))
    assert err == f"Error: run {run.info.run_id} failed: {reason}\n"
    assert "in forward" in read(run.info.run_id, "failure.txt").decode()


def test_before_a_run_is_opened_one_line_says_what_is_short(
    store: str, tmp_path: Path, command: Command
) -> None:
    file = plugin(tmp_path, FAILING.format(error="MemoryError()"))
    code, _, err = command("train", "--plugin", file, "--model", "failing", "--quiet")
    assert code in (1, 2)
    assert err.count("\n") == 1
    assert "MemoryError" in err


def test_a_run_that_gets_no_thread_but_those_that_send_is_whole(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def limited(thread: threading.Thread) -> None:
        if thread.name.startswith("mlrun-") and thread.name not in SENDING:
            raise RuntimeError("can't start new thread")
        start(thread)

    def no_process(*_: object, **__: object) -> None:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(threading.Thread, "start", limited)
    monkeypatch.setattr(subprocess, "Popen", no_process)
    run = train({**QUICK, "visualisers": "weights", "system_metrics": True})
    logged = only_run()
    assert run.failures == {}
    assert {part.dataset.name for part in logged.inputs.dataset_inputs} >= {"digits/train"}
    assert "system/cpu_utilization_percentage" in logged.data.metrics
    assert artifacts(run.run_id, "images")
