"""What became of the process of a run that MLflow has as RUNNING.

A run lasts exactly as long as somebody holds the lock on its folder. Where that is on another
machine, nobody here can tell.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil
from filelock import FileLock, Timeout
from mlflow import MlflowClient

from mlrun.errors import MlrunError, encodable
from mlrun.machine.place import place_here
from mlrun.record.beginning import PROCESS_TAG
from mlrun.record.events import STATUS_TAG
from mlrun.record.folders import run_folder, state_folder
from mlrun.record.journal_files import EVENTS, LOCK
from mlrun.record.ledger import ledger_of
from mlrun.record.onward import onward

State = Literal["alive", "lost", "unsent", "elsewhere", "unknown"]
HOST_TAG, STATE_TAG = "mlrun.host", "mlrun.state_folder"
LAUNCH_TAG = "mlrun.launch"  # of a run: what started its processes, and would start them again


@dataclass(frozen=True)
class Presence:
    """What became of the process of a run that has no end in MLflow.

    state: `alive`: it lasts. `lost`: it is gone, and left no end. `unsent`: it is gone, and its
        journal records an end that MLflow does not have. `elsewhere`: it is of another host.
        `unknown`: nothing of it is here, and nothing says that it is gone.
    place: the host or the state folder that it is of, if that is another.
    end: of `unsent`, the status.
    last: its last sign of life, milliseconds since 1970; None where none is known.
    unsent: how many of its events MLflow does not have, as far as its journal is here.
    """

    state: State
    place: str = ""
    end: str = ""
    last: int | None = None
    unsent: int = 0

    @property
    def is_gone(self) -> bool:
        """Whether the process is known to be gone."""
        return self.state in ("lost", "unsent")


def about(client: MlflowClient, run_id: str, tags: Mapping[str, str], presence: Presence) -> str:
    """Returns what became of the process of a run, and what can be done, for the user."""
    rest = ""
    if presence.unsent:
        rest = f"; {presence.unsent} of its events are unsent, send them with: mlrun sync {run_id}"
    if presence.state == "lost":
        on = onward(client, run_id, tags)
        return f"it is lost, its process is gone; {on}; end it with: mlrun doctor --fix{rest}"
    return {
        "alive": "it is still running",
        "unsent": f"it ended {presence.end}, which MLflow does not have yet{rest}",
        "elsewhere": f"it is still running on {presence.place}, or was killed there; mlrun doctor "
        "tells on that host",
        "unknown": "it is still running elsewhere, or was killed; nothing of it is here"
        + (f", it is of MLRUN_HOME={presence.place}" if presence.place else ""),
    }[presence.state]


def status_of(run: Any, presence: Presence | None) -> str:
    """Returns the status of MLflow's `run`, in one word: MLflow's, `lost` or `unsent`."""
    if presence is not None and presence.is_gone:
        return presence.state
    status: str = run.data.tags.get(STATUS_TAG, run.info.status)
    return status


def process_tags() -> dict[str, str]:
    """Returns the tags by which it is told later whether this process still lasts.

    They also say what started it, where that would start it again.
    """
    launch = launch_here()
    return {
        HOST_TAG: platform.node(),
        PROCESS_TAG: str(os.getpid()),
        STATE_TAG: str(state_folder().absolute()),
        **({LAUNCH_TAG: launch} if launch else {}),
    }


def launch_here() -> str:
    """Returns what started this process, as the tag has it; empty where nobody starts it again."""
    return re.sub(r"[^\w.-]", "-", place_here().launch)


def look_after(client: MlflowClient, run: Any) -> tuple[Any, Presence | None]:
    """Returns a run as MLflow has it, and what became of its process; None of one that ended.

    It is read again where it seems lost, as it may have ended since it was read.

    Args:
        client: of the store.
        run: as MLflow gave it.
    """
    if run.info.status != "RUNNING":
        return run, None
    presence = presence_of(run.info.run_id, run.data.tags)
    if presence.is_gone:
        run = client.get_run(run.info.run_id)
    return run, presence if run.info.status == "RUNNING" else None


def presence_of(run_id: str, tags: Mapping[str, str]) -> Presence:
    """Returns what became of the process of a run, by its folder here and its tags."""
    host, folder = tags.get(HOST_TAG, ""), run_folder(run_id)
    if is_of_another_host(tags):
        return Presence("elsewhere", host)
    if is_held(folder):
        return Presence("alive")
    if not (folder / EVENTS).exists():
        home, ours = tags.get(STATE_TAG, ""), encodable(str(state_folder().absolute()))
        if host and home == ours and is_gone(tags.get(PROCESS_TAG, "")):
            return Presence("lost")  # killed before it made its folder, or that was deleted
        return Presence("unknown", "" if home == ours else home)
    try:
        ledger = ledger_of(folder)
    except MlrunError:  # it cannot be read, so whether it records an end is not known
        return Presence("lost")
    state: State = "unsent" if ledger.waits else "lost"
    return Presence(state, "", ledger.waits, ledger.last, ledger.unsent)


def is_of_another_host(tags: Mapping[str, str]) -> bool:
    """Whether a run's tags name another host than this one."""
    return tags.get(HOST_TAG, "") not in ("", platform.node())


def is_held(folder: Path) -> bool:
    """Whether a process holds the lock on a run's folder, as while the run lasts."""
    if not (folder / LOCK).exists():
        return False
    try:
        with FileLock(folder / LOCK, timeout=0):
            return False
    except Timeout:
        return True
    except FileNotFoundError:  # the folder was deleted meanwhile
        return False
    except OSError:  # it is not ours to look into
        return True


def is_gone(process: str) -> bool:
    """Whether no process of this machine has that number; false of a text that is none."""
    return re.fullmatch("[0-9]{1,9}", process) is not None and not psutil.pid_exists(int(process))
