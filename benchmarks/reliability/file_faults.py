"""Faults of a store that is an SQLite file."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.reliability.stage import MIDDLE, Outcome, Stage
from benchmarks.reliability.stores import Skipped

HOLD_LOCK = """
import os, time
from filelock import FileLock
from mlrun.record.store import lock_path
with FileLock(lock_path(os.environ["MLFLOW_TRACKING_URI"])):
    print("held", flush=True)
    time.sleep(600)
"""


@contextmanager
def lock_on(path: Path) -> Iterator[None]:
    """Locks an SQLite file as another process would."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
        yield
    finally:
        connection.close()


def locked_at_the_start(stage: Stage) -> Outcome:
    """An SQLite file that another process locks for 60 s from the start."""
    uri = stage.sqlite()
    with lock_on(stage.folder / "mlflow.db"):
        training = stage.train(uri)
        stage.sleep(60)
    run_id = training.reach(MIDDLE)
    return stage.outcome(training, uri, run_id, training.end())


def opened_by_another(stage: Stage) -> Outcome:
    """A store that another process keeps from being opened, with its lock file, for 60 s."""
    uri = stage.sqlite()
    command = [sys.executable, "-c", HOLD_LOCK]
    with subprocess.Popen(
        command, env=stage.environment(uri), cwd=stage.folder, stdout=subprocess.PIPE
    ) as other:
        try:
            assert other.stdout is not None
            other.stdout.readline()
            training = stage.train(uri)
            stage.sleep(60)
        finally:
            other.kill()
    run_id = training.reach(MIDDLE)
    return stage.outcome(training, uri, run_id, training.end())


def locked(stage: Stage) -> Outcome:
    """An SQLite file that another process locks for 60 s in the middle."""
    uri = stage.sqlite()
    training = stage.train(uri)
    run_id = training.reach(MIDDLE)
    with lock_on(stage.folder / "mlflow.db"):
        training.go_on(MIDDLE)
        stage.sleep(60)
    return stage.outcome(training, uri, run_id, training.end())


@contextmanager
def file_system(folder: Path, size: str) -> Iterator[Path]:
    """Mounts a small file system of memory on a folder.

    Raises:
        Skipped: that is not allowed here.
    """
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        raise Skipped("a file system cannot be mounted here: needs root") from None
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def remount(folder: Path, option: str) -> None:
    """Changes an option of a mounted file system."""
    subprocess.run(["mount", "-o", f"remount,{option}", str(folder)], check=True)


def read_only_at_the_start(stage: Stage) -> Outcome:
    """An SQLite file that can only be read from the start."""
    with file_system(stage.folder / "disk", "64m") as disk:
        uri = stage.sqlite(disk)
        remount(disk, "ro")
        training = stage.train(uri)
        code = training.end()
    wrong = [] if code == 2 and len(training.lines()) == 1 else [f"exit code {code}, not 2"]
    return Outcome(code, training.lines(), wrong=wrong)


def read_only(stage: Stage) -> Outcome:
    """An SQLite file that can only be read for 30 s in the middle."""
    folder = stage.folder / "store"
    folder.mkdir()
    uri = stage.sqlite(folder)
    training = stage.train(uri)
    run_id = training.reach(MIDDLE)
    for path in (folder / "mlflow.db", folder):  # without the second, SQLite cannot begin to write
        with unchangeable(path):
            training.go_on(MIDDLE)
            stage.sleep(15)
    return stage.outcome(training, uri, run_id, training.end())


@contextmanager
def unchangeable(path: Path) -> Iterator[None]:
    """Keeps everybody from changing a file or folder, root and who has it open too.

    Raises:
        Skipped: that is not allowed here.
    """
    try:
        subprocess.run(["chattr", "+i", str(path)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        raise Skipped("chattr +i is not allowed here: needs root, and ext4, XFS or Btrfs") from None
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", str(path)], check=True)


def disk_full(stage: Stage) -> Outcome:
    """The disk of an SQLite file, full from the middle to after the end; sync."""
    with file_system(stage.folder / "disk", "64m") as disk:
        uri = stage.sqlite(disk)
        training = stage.train(uri, "--sync-wait", str(stage.scale.sync_wait))
        run_id = training.reach(MIDDLE)
        fill(disk)
        code = training.end()
        (disk / "filling").unlink()
        return stage.synced(training, uri, run_id, code)


def fill(folder: Path) -> None:
    """Fills the file system of a folder to its last byte."""
    filling = os.open(folder / "filling", os.O_WRONLY | os.O_CREAT)
    try:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    os.write(filling, b"x" * size)
            except OSError:
                continue
    finally:
        os.close(filling)
    assert shutil.disk_usage(folder).free == 0
