"""Files that somebody names: looked at before they are opened, so that none is waited for."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

NO_FILE, DENIED = "no such file", "permission denied"
EFFECTIVE = os.access in os.supports_effective_ids
KINDS = {
    stat.S_IFDIR: "it is a folder",
    stat.S_IFIFO: "it is a pipe",
    stat.S_IFSOCK: "it is a socket",
    stat.S_IFCHR: "it is a device",
    stat.S_IFBLK: "it is a device",
}


def at_home(path: str | Path) -> Path:
    """Returns a path with the home that its `~` stands for; that of nobody stays as it is."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  # which raises nothing, as Path's does


def fault_of_file(path: Path, *, folder: bool = False) -> str:
    """Returns why `path` is no file that can be read to its end, or nothing; it is not opened.

    Links are followed. A pipe, a socket or a device could be waited for or read for ever.

    Args:
        path: of any form.
        folder: whether it may be a folder too.
    """
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
        needed = os.R_OK | (os.X_OK if kind == stat.S_IFDIR else 0)
        readable = os.access(path, needed, effective_ids=EFFECTIVE)
    except (OSError, ValueError) as error:  # a path with a zero byte is a ValueError
        fault = fault_of_path(path, error)
        return f"{fault} or folder" if folder and fault == NO_FILE else fault
    if kind != stat.S_IFREG and not (folder and kind == stat.S_IFDIR):
        return KINDS.get(kind, "it is no file")
    return "" if readable else DENIED


def fault_of_path(path: Path, error: OSError | ValueError) -> str:
    """Returns why nothing is known of `path`, after the error of asking."""
    if not isinstance(error, OSError):
        return str(error)
    if error.errno == errno.ELOOP:
        return "it is a link that leads to itself"
    if error.errno not in (errno.ENOENT, errno.ENOTDIR):
        return (error.strerror or str(error)).lower()
    if path.is_symlink():
        return f"it is a link to {path.readlink()}, which is not there"
    return NO_FILE
