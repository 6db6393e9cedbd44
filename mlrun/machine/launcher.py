"""`mlflow run` that started this process: when it is gone, nobody waits for the run, and it ends.

What `mlflow run` starts outlives it where it is killed, and would train on unseen.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mlrun.machine import interrupts

if TYPE_CHECKING:
    import psutil

RUN_ID = "MLFLOW_RUN_ID"  # in the environment of what `mlflow run` starts
LOOKS = 1.0  # seconds between two looks whether it is still there
_watching = threading.Lock()


@contextmanager
def outlived_by_none() -> Iterator[None]:
    """Ends this process like a signal when the program that opened its run in MLflow has ended.

    That is `mlflow run`, or a script that uses `mlflow.projects`. Without one, does nothing, and
    neither does it within another such block. To be used within `interrupts.heeded`.
    """
    process = launcher() if os.environ.get(RUN_ID) and not _watching.locked() else None
    if process is None:
        yield
        return
    with _watching:
        done = threading.Event()
        thread = threading.Thread(
            target=watch, args=[process, done], name="mlrun-launcher", daemon=True
        )
        with suppress(RuntimeError):  # too many threads
            thread.start()
        try:
            yield
        finally:
            done.set()


def launcher() -> psutil.Process | None:
    """Returns the process that gave this one the run in its environment; None if no program did.

    The shells between inherited it. A shell in which a user names a run may be closed.
    """
    import psutil

    run_id = os.environ.get(RUN_ID)
    with suppress(psutil.Error):
        for process in psutil.Process().parents():
            if process.environ().get(RUN_ID) != run_id:
                return process if re.match("python|pypy", Path(process.exe()).name) else None
    return None


def watch(process: psutil.Process, done: threading.Event) -> None:
    """Looks after a process until it has ended, and has this one end then; or until `done`."""
    import psutil

    while not done.wait(LOOKS):
        try:
            there = process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            there = False
        if not there:
            interrupts.ask("mlflow run, which started it, has ended")
            return
