"""Plugin files that the user has run here: no other that a store names is executed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from mlrun.errors import MlrunError
from mlrun.record.folders import state_folder
from mlrun.record.logged import LoggedRun


def trust(path: Path) -> None:
    """Remembers a plugin file, by path and content, as one that the user has run here."""
    with suppress(OSError):  # of a state folder that cannot be written: it is not trusted later
        entry = entry_of(path)
        entry.parent.mkdir(parents=True, exist_ok=True)
        entry.write_text(hashlib.sha256(path.read_bytes()).hexdigest())


def is_trusted(path: Path) -> bool:
    """Whether the user has run this file here, with the content that it has now.

    A path that is not known is not opened.
    """
    try:
        return entry_of(path).read_text() == hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return False


def entry_of(path: Path) -> Path:
    """Returns where the digest of the file at `path` is kept."""
    name = hashlib.sha256(str(path.absolute()).encode()).hexdigest()
    return state_folder() / "plugins" / name


def plugin_files_of(run: LoggedRun, named: Sequence[Path]) -> list[Path]:
    """Returns the plugin files to load for a run: those that the user names, and its own.

    A run's settings come from its store, whoever wrote them: a file that they name is taken only
    if it was run here, with the content that it has now. Else the user must name it.

    Args:
        run: as it is in the store.
        named: files that the user names now; each stands for one of the run's of the same name.

    Raises:
        MlrunError: a file of the run is neither trusted nor named.
    """
    files = list(named)
    for text in run.settings.plugin:
        path = Path(text).expanduser()
        if path.name in {file.name for file in named}:
            continue
        if not path.is_file():
            raise MlrunError(
                f"run {run.run_id} used the plugin file {path}, which is not here; its text is "
                f"kept in the run's artifacts as plugins/{path.name}"
            )
        if not is_trusted(path):
            digest = run.tags.get(f"mlrun.plugin_file.{path.name}", "not known")
            raise MlrunError(
                f"run {run.run_id} names the plugin file {path} (sha256 {digest}), which was not "
                f"run on this machine as it is now; if you trust it, name it: --plugin {path}"
            )
        files.append(path)
    return files
