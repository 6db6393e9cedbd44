"""What `mlrun doctor` finds of caches, and removes of them."""

from __future__ import annotations

from collections.abc import Iterator

from mlrun.finished.examination import folders_here
from mlrun.record.caches import (
    Cache,
    caches,
    is_being_made,
    pretrained_weights,
    remove,
)
from mlrun.record.folders import in_bytes
from mlrun.record.presence import is_held

REMEDY = "remove it with: mlrun doctor --clean"


def examine_caches() -> Iterator[tuple[Cache, str, bool]]:
    """Yields each cache, what is found of it on one line, and whether nobody needs it.

    One whose source is gone may be in use by a run that began before; it is needed while any lasts.
    """
    lasting = any(is_held(folder) for folder in folders_here())
    for cache in caches():
        at = f"cache {cache.path} ({in_bytes(cache.size)})"
        of = ", ".join(map(str, cache.sources)) or "what is not known"
        if cache.is_unfinished:
            made = is_being_made(cache)
            yield cache, f"{at}: {'being' if made else 'not'} made to its end", not made
        elif cache.is_orphaned:
            kept = "kept while runs last here"
            yield cache, f"{at}: of {of}, gone; {kept if lasting else REMEDY}", not lasting
        else:
            yield cache, f"{at}: of {of}", False


def remove_cache(cache: Cache) -> tuple[str, int]:
    """Removes a cache; returns what was done, on one line, and bytes freed."""
    if not remove(cache):
        return f"cache {cache.path}: in use by a process, it was left", 0
    return f"cache {cache.path}: removed, {in_bytes(cache.size)}", cache.size


def about_pretrained() -> str:
    """Returns a line about torch's cache of weights; nothing where there are none."""
    folder, size = pretrained_weights()
    if not size:
        return ""
    return f"weights {folder} ({in_bytes(size)}): torch's, for every program; never removed"
