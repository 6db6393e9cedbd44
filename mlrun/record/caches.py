"""Caches: what can be made again, and of what each was made."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from mlrun.record.folders import cache_folder, size_of

MANIFEST = "manifest.json"  # in the folder of a cache: under `sources` the paths it was made of
UNFINISHED = ".unfinished"  # the end of the name of a cache's folder while it is made


@dataclass(frozen=True)
class Cache:
    """The folder of one cache.

    size: bytes of its files.
    sources: the paths that it was made of; none where it does not say so.
    """

    path: Path
    size: int
    sources: tuple[Path, ...] = ()

    @property
    def is_unfinished(self) -> bool:
        """Whether it was left by a process that was killed while it made it, or is being made."""
        return self.path.name.endswith(UNFINISHED)

    @property
    def is_orphaned(self) -> bool:
        """Whether all that it was made of is gone."""
        return bool(self.sources) and not any(path.exists() for path in self.sources)


def caches() -> Iterator[Cache]:
    """Yields the caches of data sets, by their paths."""
    for path in sorted(cache_folder().glob("*/*")):
        if path.is_dir() and not path.is_symlink():
            yield Cache(path, size_of(path), sources_of(path))


def sources_of(path: Path) -> tuple[Path, ...]:
    """Returns the paths that a cache says it was made of; none where it cannot be told."""
    try:
        sources = json.loads((path / MANIFEST).read_bytes())["sources"]
    except (OSError, ValueError, LookupError, TypeError):
        return ()
    if not isinstance(sources, list) or not all(isinstance(source, str) for source in sources):
        return ()
    return tuple(map(Path, sources))


def remove(cache: Cache) -> bool:
    """Removes a cache, unless a process is making it; returns whether it is gone."""
    with locked(cache) as is_ours:
        if is_ours:
            shutil.rmtree(cache.path, ignore_errors=True)
    return not cache.path.exists()


def is_being_made(cache: Cache) -> bool:
    """Whether a process is making it."""
    with locked(cache) as is_ours:
        return not is_ours


@contextmanager
def locked(cache: Cache) -> Iterator[bool]:
    """Locks a cache against processes that make it, and yields whether the lock was free."""
    lock = FileLock(f"{cache.path.parent / cache.path.name.removesuffix(UNFINISHED)}.lock")
    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError):
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def pretrained_weights() -> tuple[Path, int]:
    """Returns the folder of torch's cache of weights, and its size in bytes."""
    import torch

    folder = Path(torch.hub.get_dir()) / "checkpoints"
    return folder, size_of(folder)
