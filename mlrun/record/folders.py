"""Where state and caches are kept on disk, wherever the command was started."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def state_folder() -> Path:
    """Returns the folder of mlrun's state: `MLRUN_HOME`, else the system's place for it."""
    given = os.environ.get("MLRUN_HOME")
    return Path(given).expanduser() if given else platformdirs.user_state_path("mlrun")


def run_folder(run_id: str) -> Path:
    """Returns the folder that a run keeps its checkpoints in while it lasts."""
    return state_folder() / "runs" / run_id


def cache_folder() -> Path:
    """Returns the folder of what can be made again: `cache` in `MLRUN_HOME`, else the system's."""
    given = os.environ.get("MLRUN_HOME")
    return Path(given).expanduser() / "cache" if given else platformdirs.user_cache_path("mlrun")
