"""Runs that MLflow has as RUNNING, as a kill leaves them, made without training."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

from mlflow import MlflowClient

from mlrun.record.events import Event
from mlrun.record.folders import run_folder, state_folder
from mlrun.record.journal import Journal
from mlrun.record.journal_files import Header
from mlrun.record.presence import HOST_TAG, PROCESS_TAG, STATE_TAG
from mlrun.record.store import public


def dead_process() -> str:
    """The number of a process that is gone."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return str(process.pid)


def opened(
    *, host: str | None = platform.node(), process: str = str(os.getpid()), home: str | None = None
) -> str:
    """The id of a run that was opened in the store in use by a process; by default this one.

    `host` None is a run of a version that did not name it; `home` is its state folder.
    """
    tags = {"mlrun.version": "0.1.0"}
    if host is not None:
        tags |= {HOST_TAG: host, PROCESS_TAG: process, STATE_TAG: home or str(state_folder())}
    run_id: str = MlflowClient().create_run("0", run_name="mine", tags=tags).info.run_id
    return run_id


def journal_of(run_id: str, store: str, *events: Event) -> Journal:
    """The journal of a run, open, with events that the store does not have."""
    journal = Journal(run_folder(run_id), Header(run_id, "0", "mine", public(store), 0))
    for event in events:
        journal.append(event)
    return journal


def lost(store: str, *events: Event, **how: str | None) -> str:
    """The id of a run whose process is gone, with a journal of these events, all unsent."""
    run_id = opened(**{"process": dead_process(), **how})  # type: ignore[arg-type]  # texts, but for the host
    journal_of(run_id, store, *events).settle()
    return run_id


def status(run_id: str) -> str:
    """The status of a run in MLflow."""
    text: str = MlflowClient().get_run(run_id).info.status
    return text


def save(run_id: str, *names: str) -> Path:
    """Puts files of these names into the folder of a run, which it returns."""
    folder = run_folder(run_id)
    for name in names:
        (folder / name).write_bytes(b"state")
    return folder
