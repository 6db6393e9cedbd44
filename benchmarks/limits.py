"""A limit on the memory of a process, page cache included: a cgroup, where one can be made."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


@contextmanager
def memory_limit(size: int) -> Iterator[Path | None]:
    """Makes a cgroup with `size` bytes of memory; yields its folder, or None where it cannot."""
    group = parent() / f"mlrun-benchmark-{os.getpid()}"
    limit = "memory.max" if (ROOT / "cgroup.controllers").exists() else "memory.limit_in_bytes"
    try:
        group.mkdir()
        (group / limit).write_text(str(size))
    except OSError:
        if group.is_dir():
            group.rmdir()
        yield None
        return
    try:
        yield group
    finally:
        group.rmdir()


def parent() -> Path:
    """Returns the folder of the memory cgroup that this process is in."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, place = line.split(":", 2)
        if "memory" in controllers.split(","):
            return ROOT / "memory" / place.strip("/")
        if not controllers and (ROOT / "cgroup.controllers").exists():
            return ROOT / place.strip("/")
    return ROOT / "memory"


def within(group: Path | None, command: Sequence[str]) -> list[str]:
    """Returns a command that runs `command` in a cgroup, from its first page on."""
    if group is None:
        return list(command)
    enter = (
        "import os, sys; open(sys.argv[1], 'w').write(str(os.getpid())); "
        "os.execv(sys.argv[2], sys.argv[2:])"
    )
    return [sys.executable, "-c", enter, str(group / "cgroup.procs"), *command]
