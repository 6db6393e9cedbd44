"""The folders of caches that the tests make."""

from __future__ import annotations

from pathlib import Path


def cache_of(root: Path) -> Path:
    """The only cache there is."""
    (found,) = [path for path in caches(root) if path.is_dir()]
    return found


def caches(root: Path) -> list[Path]:
    return list((root / "state" / "cache" / "image-folder").iterdir())
