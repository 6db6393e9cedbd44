"""The processes of a run on this machine, started and looked after by torchrun's own agent."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import psutil
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, launch_agent

from mlrun.errors import MlrunError, one_line
from mlrun.machine.exits import AT_MOST, KINDS
from mlrun.machine.interrupts import Interrupted

LAST = AT_MOST + 30.0  # seconds after a signal until processes that are left are killed
THREADS = "OMP_NUM_THREADS"


def start(count: int, command: Sequence[str]) -> int:
    """Starts a command of Python so many times, as torchrun would, and waits until all have ended.

    What asks this process to end is passed on to them. They print what they print.

    Args:
        count: how many processes.
        command: the arguments of Python.

    Returns the exit code of the first, which leads the others: 128 and its number where a signal
    killed it.

    Raises:
        MlrunError: they cannot be started.
        KeyboardInterrupt: a signal came before they were there.
    """
    os.environ.setdefault(THREADS, str(max(1, cores() // count)))
    with passed_on(), silent():
        try:
            launch_agent(configured(count), sys.executable, list(command))
        except ChildFailedError as error:
            failure = error.failures.get(0)
            code = failure.exitcode if failure else 0
            return 128 - code if code < 0 else code
        except (RuntimeError, OSError) as error:
            raise MlrunError(f"{count} processes cannot be started ({one_line(error)})") from error
    return 0


def configured(count: int) -> LaunchConfig:
    """Returns what `torchrun --standalone --nproc-per-node COUNT` starts with."""
    return LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=str(uuid.uuid4()),
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        max_restarts=0,
        logs_specs=DefaultLogsSpecs(log_dir=os.devnull),
        signals_to_handle="SIGQUIT",  # the others are ours
    )


@contextmanager
def silent() -> Iterator[None]:
    """Has nothing logged here: what torch says of processes that failed, the first says better."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def cores() -> int:
    """Returns how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def passed_on() -> Iterator[None]:
    """Has signals that ask this process to end reach the processes that it started.

    Those that are left long after the first one are killed: rank 0 has had its time, as one
    process alone.
    """
    before = {kind: signal.getsignal(kind) for kind in KINDS}
    last = threading.Timer(LAST, kill)
    last.daemon = True

    def pass_on(number: int, _: object) -> None:
        if not started():
            raise Interrupted(number)
        for process in started():
            with suppress(psutil.Error, ValueError):  # it has ended; Windows has no such signal
                process.send_signal(number)
        with suppress(RuntimeError):  # a second signal
            last.start()

    try:
        for kind, handler in before.items():
            if handler not in (signal.SIG_IGN, None):  # as within `interrupts.heeded`
                signal.signal(kind, pass_on)
        yield
    finally:
        last.cancel()
        for kind, handler in before.items():
            if handler is not None:
                signal.signal(kind, handler)


def started() -> list[psutil.Process]:
    """Returns the processes that this one started."""
    children: list[psutil.Process] = psutil.Process().children()
    return children


def kill() -> None:
    """Kills the processes that this one started."""
    for process in started():
        with suppress(psutil.Error):
            process.kill()
