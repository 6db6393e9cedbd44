"""What started this process, `mlflow run` or torchrun: once it is gone, nobody waits for the run.

What they start outlives them where they are killed, and would train on unseen.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mlrun.machine import interrupts

if TYPE_CHECKING:
    import psutil

STARTERS = {  # by what is in the environment of what they start: their names
    "MLFLOW_RUN_ID": "mlflow run",
    "TORCHELASTIC_RUN_ID": "the launcher of its processes",  # torchrun, or mlrun
    "MLRUN_SWEEP": "the sweep",
}
LOOKS = 1.0  # seconds between two looks whether it is still there
_watching = threading.Lock()


@contextmanager
def outlived_by_none() -> Iterator[None]:
    """Ends this process like a signal when a program that started it for a run has ended.

    That is `mlflow run`, or a script that uses `mlflow.projects`, and what started several
    processes of a run. Without one, does nothing, and neither does it within another such block.
    To be used within `interrupts.heeded`.
    """
    found = {} if _watching.locked() else launchers()
    if not found:
        yield
        return
    with _watching:
        done = threading.Event()
        thread = threading.Thread(
            target=watch, args=[found, done], name="mlrun-launcher", daemon=True
        )
        with suppress(RuntimeError):  # too many threads
            thread.start()
        try:
            yield
        finally:
            done.set()


def launchers() -> dict[str, psutil.Process]:
    """Returns the programs that started this process for a run, by name."""
    found = {name: launcher(variable) for variable, name in STARTERS.items()}
    return {name: process for name, process in found.items() if process is not None}


def launcher(variable: str) -> psutil.Process | None:
    """Returns the program that gave this process a variable; None if it is not there, or none did.

    The shells between inherited it. A shell in which a user names a run may be closed.
    """
    value = os.environ.get(variable)
    if not value:
        return None
    import psutil

    with suppress(psutil.Error):
        for process in psutil.Process().parents():
            if process.environ().get(variable) != value:
                return process if re.match("python|pypy", Path(process.exe()).name) else None
    return None


def rank_0_beside() -> psutil.Process | None:
    """Returns the process of rank 0 that what started this one started, too; None without one."""
    import psutil

    port = os.environ.get("MASTER_PORT")
    with suppress(psutil.Error):
        for process in psutil.Process(os.getppid()).children():
            with suppress(psutil.Error):
                theirs = process.environ()
                if (theirs.get("RANK"), theirs.get("MASTER_PORT")) == ("0", port):
                    return process
    return None


def watch(started_by: Mapping[str, psutil.Process], done: threading.Event) -> None:
    """Looks after processes until one has ended, and has this one end then; or until `done`."""
    while not done.wait(LOOKS):
        for name, process in started_by.items():
            if not is_there(process):
                interrupts.ask(f"{name}, which started it, has ended")
                return


def is_there(process: psutil.Process) -> bool:
    """Whether a process has not ended."""
    import psutil

    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
