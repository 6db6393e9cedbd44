"""The settings of a run that is about to be opened: kept here until they are in its journal.

A run that is killed between its opening and its first line is begun again from them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from mlrun.record.folders import state_folder, write_whole

PROCESS_TAG = "mlrun.process"  # of a run: the number of the process that is at it
SETTINGS_TAG = "mlrun.settings_sha256"  # of a run: the SHA-256 of its settings.yaml


class Beginning:
    """Keeps the settings of a run, YAML, from before it is opened until it is `over`."""

    def __init__(self, settings: str) -> None:
        path = path_of(digest(settings), str(os.getpid()))
        self._path: Path | None = path
        with suppress(OSError):  # of a state folder that cannot be written, as the journal will say
            write_whole(path, settings.encode())

    def stays(self) -> None:
        """Has them stay: it is not known whether the run was opened."""
        self._path = None

    def over(self) -> None:
        """Removes them: the journal of the run has them, or there is no run."""
        if self._path is None:
            return
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


def digest(settings: str) -> str:
    """Returns the digest of settings."""
    return hashlib.sha256(settings.encode(errors="surrogatepass")).hexdigest()


def settings_kept(tags: Mapping[str, str]) -> Path | None:
    """Returns the settings of a run that was killed while it was opened, if they are here.

    Args:
        tags: of the run, which say what settings they are, and of which process.
    """
    kind, process = tags.get(SETTINGS_TAG, ""), tags.get(PROCESS_TAG, "")
    if not (kind.isalnum() and process.isalnum()):
        return None
    path = path_of(kind, process)
    return path if path.is_file() else None


def path_of(kind: str, process: str) -> Path:
    """Returns where a process keeps settings with that digest."""
    return state_folder() / "beginning" / f"{kind}-{process}.yaml"
