"""The folder of a cache on disk: whole and as it was written, or made again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mlrun import MlrunError
from mlrun.plugin import BlockSums
from mlrun_datasets.decoding_progress import LOG, log_info
from mlrun_datasets.image_files import Listing
from mlrun_datasets.pixel_file import fill

SMALL = 64 * 2**20  # bytes of pixels that are read whole before they are used
AT_ONCE = 2**20  # bytes
UNFINISHED = ".unfinished"


def read_manifest(place: Path, about: dict[str, Any], dataset: str) -> dict[str, Any] | None:
    """Returns the manifest of a cache; None if it is missing, stale or damaged.

    Of a damaged one the user is told, once: its pixels are removed. Those of a large cache are
    compared with their sums beside the training.
    """
    try:
        written = (place / "manifest.json").read_bytes()
        size = (place / "images").stat().st_size
        manifest = manifest_in(written, (place / "manifest.sha256").read_text())
    except OSError:
        return None
    if manifest and manifest["about"] != about:
        return None
    fault = fault_of(place / "images", size, manifest) if manifest else "its manifest is damaged"
    if fault:
        LOG.warning("%s: the cache %s is made again: %s", dataset, place, fault)
        with contextlib.suppress(OSError):
            (place / "images").unlink()
        return None
    return manifest


def manifest_in(written: bytes, digest: str) -> dict[str, Any] | None:
    """Returns a manifest from its file; None if that does not have the digest."""
    if hashlib.sha256(written).hexdigest() != digest:
        return None
    manifest: dict[str, Any] = json.loads(written)
    return manifest


def fault_of(path: Path, size: int, manifest: dict[str, Any]) -> str:
    """Returns what is wrong with the pixels in a file of `size` bytes; '' for nothing."""
    if size != manifest["bytes"]:
        return f"it has {size:,} of {manifest['bytes']:,} bytes"
    if size > SMALL:
        return ""
    sums = BlockSums()
    with path.open("rb") as file:
        while content := file.read(AT_ONCE):
            sums.update(content)
    for number, (found, written) in enumerate(zip(sums.sums(), manifest["sums"], strict=True)):
        if found != written:
            return f"block {number} of its pixels is not as it was written"
    return ""


@contextlib.contextmanager
def writing(place: Path) -> Iterator[None]:
    """Turns a cache that cannot be written into an MlrunError."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise MlrunError(
            f"cannot write the cache {place}: {error.strerror or error}; make room, or name "
            "another folder with --dataset.cache"
        ) from error


@contextlib.contextmanager
def locked(place: Path, dataset: str) -> Iterator[None]:
    """Lets one process build a cache at a time."""
    lock = FileLock(f"{place}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log_info(dataset, "waiting for another process, which decodes the same images")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def build(place: Path, listing: Listing, about: dict[str, Any], workers: int) -> dict[str, Any]:
    """Decodes every image into a new cache, which is at its place only once it is whole."""
    folder = place.with_name(f"{place.name}{UNFINISHED}")
    shutil.rmtree(folder, ignore_errors=True)  # of a build that was killed
    folder.mkdir()
    try:
        sources = [str(path.resolve()) for path in listing.source]  # for mlrun doctor
        pixels = fill(folder / "images", listing, about, workers)
        manifest = {"about": about, "sources": sources, **pixels}
        written = json.dumps(manifest).encode()
        (folder / "manifest.json").write_bytes(written)
        (folder / "manifest.sha256").write_text(hashlib.sha256(written).hexdigest())
        shutil.rmtree(place, ignore_errors=True)
        folder.rename(place)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return manifest


def remove_unfinished(base: Path) -> None:
    """Removes what builds that were killed have left, whatever they were of."""
    for folder in base.glob(f"*{UNFINISHED}"):
        lock = FileLock(f"{folder.with_suffix('')}.lock")
        with contextlib.suppress(Timeout, OSError), lock.acquire(timeout=0):
            shutil.rmtree(folder, ignore_errors=True)
