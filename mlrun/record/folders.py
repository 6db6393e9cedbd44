"""The folders of state and caches, the same wherever the command is started, and where that is."""

from __future__ import annotations

import os
import shutil
import stat
import threading
from contextlib import suppress
from pathlib import Path

import platformdirs

from mlrun.errors import MlrunError
from mlrun.seam.files import at_home


def state_folder() -> Path:
    """Returns the folder of mlrun's state: `MLRUN_HOME`, else the system's place for it."""
    home = os.environ.get("MLRUN_HOME")
    return chosen(home) if home else platformdirs.user_state_path("mlrun")


def chosen(home: str) -> Path:
    """Returns the folder that MLRUN_HOME names; raises MlrunError where it is in nobody's home."""
    folder = at_home(home)
    if str(folder).startswith("~"):
        raise MlrunError(f"MLRUN_HOME={home}: there is no such user; set it to another folder")
    return folder


def runs_folder() -> Path:
    """Returns the folder with a folder for each run that lasts, or left something to send."""
    return state_folder() / "runs"


def run_folder(run_id: str) -> Path:
    """Returns the folder of a run: its journal and its checkpoints, while it lasts."""
    return runs_folder() / run_id


def remove(folder: Path) -> None:
    """Removes a run's folder: at once for all others, who never find it half removed."""
    gone = folder.with_name(f"{folder.name}.removed")
    with suppress(OSError):  # of one that was begun to be removed, and no more
        folder.rename(gone)
    for path in (gone, folder):
        shutil.rmtree(path, ignore_errors=True)


def write_whole(path: Path, content: bytes) -> Path:
    """Writes a file, or replaces it, and returns its path: whoever is killed leaves no part of one.

    Two threads, or processes, that write the same file each write it whole.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    temporary.write_bytes(content)
    return temporary.replace(path)


def cache_folder() -> Path:
    """Returns the folder of caches: `cache` in `MLRUN_HOME`, else the system's."""
    home = os.environ.get("MLRUN_HOME")
    return chosen(home) / "cache" if home else platformdirs.user_cache_path("mlrun")


def working_directory() -> str:
    """Returns the working directory; raises MlrunError where it was deleted."""
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        raise MlrunError(
            "the working directory was deleted; go to a folder that is there: cd"
        ) from None


def size_of(path: Path) -> int:
    """Returns the bytes of a file or of all files below a folder, each once, whatever its names."""
    sizes: dict[tuple[int, int], int] = {}
    for file in [path, *path.rglob("*")] if path.is_dir() else [path]:
        with suppress(OSError):  # it was removed meanwhile
            status = file.lstat()
            if not stat.S_ISDIR(status.st_mode):
                sizes[status.st_dev, status.st_ino] = status.st_size
    return sum(sizes.values())


def in_bytes(size: int) -> str:
    """Returns a number of bytes in the largest unit that it fills.

    >>> in_bytes(999), in_bytes(1_500), in_bytes(2_400_000_000)
    ('999 B', '1.5 kB', '2.4 GB')
    """
    for power, unit in ((9, "GB"), (6, "MB"), (3, "kB")):
        if size >= 10**power:
            return f"{size / 10**power:.1f} {unit}"
    return f"{size} B"
