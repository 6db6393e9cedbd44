"""Image folders as a data set: decoded once into a file that is mapped into memory."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from mlrun import ImageData, MlrunError, Part
from mlrun.plugin import DECODING_RULE, at_home, cache_folder, map_checked
from mlrun_datasets.cache_on_disk import (
    build,
    locked,
    read_manifest,
    remove_unfinished,
    writing,
)
from mlrun_datasets.decoders import Range
from mlrun_datasets.decoding_progress import LOG
from mlrun_datasets.files import resolve_path
from mlrun_datasets.folder_parts import say_left_out
from mlrun_datasets.image_files import Listing, list_images
from mlrun_datasets.value_range import check_range, report_range

NAMED = 10  # images left out that are named one by one


@dataclass(frozen=True)
class Decoding:
    """How image files are decoded, and where to: the options of the data sets that do.

    Raises MlrunError if a number cannot be.
    """

    size: tuple[int, int] | None  # (H, W)
    channels: Literal[1, 3]
    workers: int
    skip_unreadable: bool
    cache: str | None
    value_range: Range | None  # of more than 8 bits, the values that become 0 and 255; or found

    def __post_init__(self) -> None:
        if self.workers < 0 or (self.size is not None and min(self.size) < 1):
            raise MlrunError("--dataset.workers must be 0 or more, --dataset.size 1 or more")
        check_range(self.value_range)


def load_image_folder(root: Path, path: str, decoding: Decoding) -> ImageData:
    """Returns a folder of images as ImageData; see `load_images`.

    Raises:
        MlrunError: the folder is laid out otherwise; or as `load_images`.
    """
    return load_images(list_images(resolve_path(root, path, "path")), decoding)


def load_images(listing: Listing, decoding: Decoding) -> ImageData:
    """Returns image files as ImageData; the tensors are mapped, and read-only.

    Raises:
        MlrunError: images cannot be read, or the cache cannot be written.
    """
    if listing.unread:
        say_left_out(listing.unread)
    remove_unfinished(place_of(listing, decoding).parent)
    place, manifest = copy_of(listing, decoding) or make_copy(listing, decoding)
    report(manifest["skipped"], listing, place, decoding.skip_unreadable)
    report_range(manifest, listing, decoding.value_range)
    return assemble(place, listing, manifest)


def copy_of(listing: Listing, decoding: Decoding) -> tuple[Path, dict[str, Any]] | None:
    """Returns the cache with these images, if there is one, and its manifest.

    A range that is given may be the one that was found before.
    """
    limits = decoding.value_range
    for one in [decoding] if limits is None else [decoding, replace(decoding, value_range=None)]:
        place = place_of(listing, one)
        manifest = read_manifest(place, fingerprint(listing, one), listing.dataset)
        if manifest and (one is decoding or manifest["range"] in (None, list(limits or ()))):
            return place, manifest
    return None


def make_copy(listing: Listing, decoding: Decoding) -> tuple[Path, dict[str, Any]]:
    """Decodes the images, unless another process just has; returns the cache and its manifest."""
    place, about = place_of(listing, decoding), fingerprint(listing, decoding)
    with writing(place), locked(place, listing.dataset):
        manifest = read_manifest(place, about, listing.dataset)
        return place, manifest or build(place, listing, about, decoding.workers or cores())


def place_of(listing: Listing, decoding: Decoding) -> Path:
    """Returns the cache's own folder: one for each source of images, size, channels and range."""
    cache = decoding.cache
    base = at_home(cache).absolute() if cache else cache_folder() / listing.dataset
    sources = [path.resolve() for path in listing.source]
    limits = [] if decoding.value_range is None else [decoding.value_range]
    key = json.dumps([*map(str, sources), decoding.size, decoding.channels, *limits])
    return base / f"{sources[0].name[:40]}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"


def fingerprint(listing: Listing, decoding: Decoding) -> dict[str, Any]:
    """Returns the sources of the cache; a cache made from any other is stale."""
    files = {
        part: [[file.path, file.size, file.modified] for file in files]
        for part, files in listing.parts.items()
    }
    return {
        "rule": DECODING_RULE,
        "size": decoding.size and list(decoding.size),
        "channels": decoding.channels,
        "range": decoding.value_range and list(decoding.value_range),
        "files": files,
    }


def report(skipped: dict[str, str], listing: Listing, place: Path, skip: bool) -> None:
    """Warns of the images that were left out.

    Raises:
        MlrunError: `skip` is false.
    """
    if not skipped:
        return
    total = sum(map(len, listing.parts.values()))
    what = f"{len(skipped):,} of {total:,} images cannot be used"
    if not skip:
        first, why = next(iter(skipped.items()))
        rows = [f.place for files in listing.parts.values() for f in files if f.path == first]
        why = f"{rows[0]}: {why}" if rows[0] else why
        raise MlrunError(
            f"{what}; the first: {why}; mend or remove them, or leave "
            "them out with --dataset.skip-unreadable true"
        )
    rest = f", … (all are in {place / 'manifest.json'})" if len(skipped) > NAMED else ""
    LOG.warning(
        "%s: %s and are left out: %s%s",
        listing.dataset,
        what,
        ", ".join(list(skipped)[:NAMED]),
        rest,
    )


def assemble(place: Path, listing: Listing, manifest: dict[str, Any]) -> ImageData:
    """Returns a cache as ImageData.

    Raises:
        MlrunError: the images left out were all of a class.
    """
    labels = {
        part: [file.label for file in files if file.path not in manifest["skipped"]]
        for part, files in listing.parts.items()
    }
    lost = {file.label for file in listing.parts["train"]} - set(labels["train"])
    if lost:
        name = listing.classes[min(lost)]
        raise MlrunError(f"no image of class {name} in {listing.source[0]} can be used")
    count = sum(map(len, labels.values()))
    images = map_checked(place / "images", (count, *manifest["shape"]), manifest["sums"])
    lengths = [len(numbers) for numbers in labels.values()]
    parts = {
        part: Part(some, torch.tensor(labels[part], dtype=torch.int64))
        for part, some in zip(labels, images.split(lengths), strict=True)
    }
    return ImageData(
        train=parts["train"],
        validation=parts.get("validation"),
        test=parts.get("test"),
        classes=listing.classes,
        source=", ".join(str(path.resolve()) for path in listing.source),
        licence="not stated",
        value_range=manifest["range"] and tuple(manifest["range"]),
    )


def cores() -> int:
    """Returns how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
