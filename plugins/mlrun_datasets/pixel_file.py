"""The pixels of an image folder, written to one file."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mlrun import MlrunError
from mlrun.plugin import BlockSums, decode, quiet_decoding
from mlrun_datasets.decoders import FULL, Rule, decode_all
from mlrun_datasets.decoding_progress import log_info, progress_bar
from mlrun_datasets.image_files import Listing
from mlrun_datasets.value_range import find_range, levels_used


def fill(path: Path, listing: Listing, about: dict[str, Any], workers: int) -> dict[str, Any]:
    """Writes the pixels of every image to `path`, one after another.

    Returns the shape of each, (C, H, W), how many bytes were written and the sums of their blocks,
    the images that were left out, by path, with the reason, and of images of more than 8 bits: the
    range of their values, how many levels the training images came to, and how many images have 8
    bits.

    Raises:
        MlrunError: none can be read, or there is no room.
    """
    files = [file.path for part in listing.parts.values() for file in part]
    paths = [str(listing.folder / file) for file in files]
    rule = rule_for(paths, about)
    needed = len(paths) * math.prod(rule.shape)
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise OSError(None, f"{needed / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free")
    ignored = f", {listing.ignored} other files ignored" if listing.ignored else ""
    where = path.parent.with_suffix("")
    log_info(listing.dataset, f"decoding {len(paths):,} images into {where}{ignored}")
    written = write(path, listing, rule, workers)
    if written is None:
        rule = replace(rule, value_range=find_range(listing, rule, workers))
        written = write(path, listing, rule, workers)
    return {"shape": rule.shape, **(written or {})}


def rule_for(paths: list[str], about: dict[str, Any]) -> Rule:
    """Returns the rule of decoding: to the size asked for, or that of the first readable image."""
    channels: Literal[1, 3] = about["channels"]
    value_range = about["range"] and tuple(about["range"])
    if about["size"] is not None:
        height, width = about["size"]
        return Rule(channels, (height, width), (channels, height, width), value_range)
    for path in paths:
        with contextlib.suppress(MlrunError), quiet_decoding():
            pixels = decode(Path(path), channels=channels, value_range=FULL)
            return Rule(channels, None, (channels, *pixels.shape[1:]), value_range)
    raise MlrunError(f"none of {len(paths):,} images can be read; the first is {paths[0]}")


def write(path: Path, listing: Listing, rule: Rule, workers: int) -> dict[str, Any] | None:
    """Writes the pixels of every image, and returns what `fill` does, without the shape.

    Returns None at the first image of more than 8 bits if there is no range for it.
    """
    files = [file.path for part in listing.parts.values() for file in part]
    trained = len(listing.parts["train"])
    skipped: dict[str, str] = {}
    levels = np.zeros(256, np.int64)
    done = wide = 0
    sums = BlockSums()
    with (
        path.open("wb") as file,
        progress_bar(len(files)) as advance,
        contextlib.closing(
            decode_all([str(listing.folder / name) for name in files], rule, workers)
        ) as chunks,
    ):
        for chunk in chunks:
            if chunk.levels and rule.value_range is None:
                return None
            count = len(chunk.errors) + len(chunk.pixels) // math.prod(rule.shape)
            skipped |= {files[done + place]: why for place, why in chunk.errors.items()}
            levels += sum(c for place, c in chunk.levels.items() if done + place < trained)
            wide += len(chunk.levels)
            done += count
            file.write(chunk.pixels)
            sums.update(chunk.pixels)
            advance(count)
        file.flush()
        os.fsync(file.fileno())
        return {
            "bytes": file.tell(),
            "sums": sums.sums(),
            "skipped": skipped,
            "range": rule.value_range if wide else None,
            "levels": levels_used(levels) if levels.any() else None,
            "narrow": done - len(skipped) - wide,
        }
