"""A process that calls a function: what comes back, and what happens when one side is gone."""

from __future__ import annotations

import importlib
import operator
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from mlrun.machine import workers
from mlrun.plugin import Worker, WorkerEnded

MODULE = """
import os
import time

if "AT_IMPORT" in os.environ:
    exec(os.environ["AT_IMPORT"])


def double(number):
    return 2 * number
"""
PARENT = """
import os, sys
from mlrun.plugin import Worker
workers = [Worker(os.getpid), Worker(os.getpid)]
print(*(worker.call() for worker in workers), flush=True)
sys.stdin.read()
"""
BUSY = """
import os, sys, threading, time
from mlrun.plugin import Worker
workers = [Worker(time.sleep), Worker(time.sleep)]
forked = os.fork()  # it keeps the other ends of the workers' pipes open
if not forked:
    time.sleep(600)
for worker in workers:
    threading.Thread(target=worker.call, args=[600], daemon=True).start()
print(*(worker.process.pid for worker in workers), forked, flush=True)
sys.stdin.read()
"""
Start = Callable[..., Worker]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts workers, and ends them."""
    started: list[Worker] = []

    def start(function: Callable[..., object], **options: object) -> Worker:
        started.append(Worker(function, **options))
        return started[-1]

    yield start
    for worker in started:
        worker.kill()


@pytest.fixture
def double(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], int]:
    """A function of a module that lies on this process's path only."""
    (tmp_path / "doubling.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "doubling", raising=False)
    return importlib.import_module("doubling").double


def test_another_process_calls_the_function(start: Start, double: Callable[[int], int]) -> None:
    assert start(os.getpid).call() not in (os.getpid(), None)
    worker = start(double)
    assert [worker.call(number) for number in (1, 2, 3)] == [2, 4, 6]


def test_arguments_and_result_may_be_large(start: Start) -> None:
    assert start(operator.add).call(b"a" * 10**7, b"b" * 10**7) == b"a" * 10**7 + b"b" * 10**7


def test_what_is_printed_is_no_answer(start: Start, capfd: pytest.CaptureFixture[str]) -> None:
    assert start(os.system).call("echo hello") == 0
    assert start(os.system, quiet=True).call("echo quiet; echo quiet >&2") == 0
    assert capfd.readouterr() == ("", "hello\n")


def test_an_error_ends_the_process_with_its_traceback(
    start: Start, capfd: pytest.CaptureFixture[str]
) -> None:
    worker = start(operator.truediv)
    assert worker.call(1, 2) == 0.5
    for _ in range(2):
        with pytest.raises(WorkerEnded, match=r"^a worker process ended \(status 1\)$"):
            worker.call(1, 0)
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_a_killed_process_does_not_keep_who_asks_it(start: Start) -> None:
    worker = start(time.sleep)
    threading.Timer(0.5, worker.process.kill).start()
    with pytest.raises(WorkerEnded) as ended:
        worker.call(600)
    assert ended.value.status == -signal.SIGKILL


@pytest.mark.parametrize("size", [1, 10**7])  # more than a pipe holds
def test_a_process_that_is_stopped_does_not_keep_who_asks_it(
    start: Start, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(workers, "LOOKS", 0.05)
    worker = start(operator.add)
    worker.process.send_signal(signal.SIGSTOP)
    with pytest.raises(WorkerEnded):
        worker.call(b"a", b"b" * size)


def test_a_process_that_goes_on_is_not_ended(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "LOOKS", 0.1)
    worker = start(operator.neg)
    for _ in range(3):
        worker.process.send_signal(signal.SIGSTOP)
        time.sleep(0.3)
        worker.process.send_signal(signal.SIGCONT)
        assert worker.call(1) == -1


def test_a_process_that_hangs_in_an_import_can_be_ended(
    start: Start, double: Callable[[int], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AT_IMPORT", "time.sleep(600)")
    worker = start(double)
    threading.Timer(0.5, worker.kill).start()
    with pytest.raises(WorkerEnded):
        worker.call(1)


def test_a_module_that_fails_in_the_process_ends_it(
    start: Start, double: Callable[[int], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AT_IMPORT", "os._exit(3)")
    with pytest.raises(WorkerEnded) as ended:
        start(double).call(1)
    assert ended.value.status == 3


def test_signals_to_the_whole_group_are_left_to_the_parent(start: Start) -> None:
    worker = start(operator.neg)
    assert worker.call(1) == -1
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        worker.process.send_signal(number)
    assert worker.call(2) == -2


def test_a_process_may_stand_back(start: Start) -> None:
    assert start(os.nice, nice=3).call(0) == min(19, os.nice(0) + 3)


def test_processes_end_when_their_parent_is_killed() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    children = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
    assert len(children) == 2
    parent.kill()
    parent.communicate()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive


def test_processes_that_are_at_work_end_when_their_parent_is_killed() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    *children, forked = (psutil.Process(int(pid)) for pid in parent.stdout.readline().split())
    parent.kill()
    parent.wait()
    try:
        _, alive = psutil.wait_procs(children, timeout=30)
        assert not alive
    finally:
        forked.kill()
        parent.communicate()
