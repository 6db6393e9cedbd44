"""Image files below a folder, without what systems and tools put beside them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from mlrun.errors import MlrunError

# of archives, desktops, file servers and notebooks; in small letters
LEFT_OUT = {
    "__macosx", "__pycache__", "lost+found", "desktop.ini", "thumbs.db", "ehthumbs.db",
    "$recycle.bin", "recycler", "system volume information", "@eadir", "@tmp", "@recycle",
    "@recently-snapshot", "#recycle", "#snapshot", "network trash folder", "temporary items",
}  # fmt: skip


def is_left_out(name: str) -> bool:
    """Whether a file or folder of that name is hidden, or made by the system beside the user's.

    >>> [is_left_out(name) for name in (".DS_Store", "__MACOSX", "Thumbs.db", "cats")]
    [True, True, True, False]
    """
    return name.startswith(".") or name.lower() in LEFT_OUT


def files_below(folder: Path) -> Iterator[Path]:
    """Yields every file below `folder`, through links too, but none of folders that are left out.

    A folder that links lead to twice, or in a circle, is searched once.

    Raises:
        MlrunError: a folder cannot be read.
    """
    visited = set()
    for place, inner, names in os.walk(folder, followlinks=True, onerror=refuse):
        real = os.path.realpath(place)
        inner[:] = [] if real in visited else sorted(n for n in inner if not is_left_out(n))
        if real not in visited:
            yield from (Path(place, name) for name in names)
        visited.add(real)


def refuse(error: OSError) -> None:
    """Raises the error for a folder that cannot be read."""
    reason = (error.strerror or str(error)).lower()
    raise MlrunError(f"cannot read the folder {error.filename}: {reason}") from error
