"""Time and memory as the data grow: from a thousand images to a million, and beyond memory.

Random images, the same number of steps for each size; the time is that of the steps. All batches
are whole ones: the short one at the end of each epoch takes as long for fewer examples, which tells
in epochs of sixteen steps only. Each size is a process of its own, and the sizes take turns.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from benchmarks.harness import Bench, Row, output_of, own_store, peer
from benchmarks.limits import memory_limit, within
from benchmarks.networks import SETTINGS, Name
from benchmarks.peers import random_images

SIZES = (1_000, 10_000, 100_000, 1_000_000)
STEPS: dict[Name, int] = {"perceptron": 4000, "lenet": 1500}
LIMIT = 2**30  # bytes of memory
SIDE, CHANNELS = 64, 3  # 12,288 bytes an image
GIB = 2**30


def run(bench: Bench) -> Iterator[Row]:
    """Yields the growth of time and memory, then the time of data that do not fit in memory."""
    sizes = (1_000, 2_000) if bench.quick else SIZES
    memory: list[float] = []
    names: list[Name] = ["lenet"] if bench.quick else list(STEPS)
    for name in names:
        times: dict[int, list[float]] = {size: [] for size in sizes}
        for _ in range(bench.repetitions):
            held = {}
            for size in sizes:
                found = measured(bench, name, size)
                times[size].append(found["example"])
                held[size] = found["memory"]
            growth = held[sizes[-1]] - held[sizes[0]]
            memory.append(growth / (784 * (sizes[-1] - sizes[0])))
        for size in sizes[1:]:
            pairs = zip(times[size], times[sizes[0]], strict=True)
            what = f"{name}: an example, of {size:,} images / of {sizes[0]:,}"
            yield Row("growth", what, [large / small for large, small in pairs], 0.9, 1.1)
    what = f"memory that {sizes[-1]:,} images take / their bytes"
    yield Row("growth", what, memory, most=1.2)
    yield from beyond_memory(bench)


def settings_of(bench: Bench, steps: int, **others: object) -> dict[str, object]:
    """Returns the settings of a run on random images."""
    return {
        "plugin": str(Path(random_images.__file__)),
        "dataset": "random-images",
        "batch_size": 64,
        "drop_last": True,
        "steps": 20 if bench.quick else steps,
        "normalisation": "0.5/0.25",
        "visualisers": "none",
        "log_model": False,
        **others,
    }


def measured(bench: Bench, name: Name, size: int) -> dict[str, Any]:
    """Returns what one run takes."""
    chosen = {**SETTINGS[name], "dataset.count": size}
    with own_store(bench):
        return peer("growth_program", json.dumps(settings_of(bench, STEPS[name], **chosen)))


def beyond_memory(bench: Bench) -> Iterator[Row]:
    """Yields the time of mapped images that are twice the memory, to that of images in memory."""
    count = 1_000 if bench.quick else 2 * LIMIT // (CHANNELS * SIDE * SIDE)
    size = count * CHANNELS * SIDE * SIDE
    if shutil.disk_usage(bench.folder).free < size + GIB:
        click.echo(f"growth: {bench.folder} has no room for {size / GIB:.0f} GiB", err=True)
        return
    file = bench.folder / "images"
    random_images.write(file, count, CHANNELS, SIDE)
    shape = {"dataset.count": count, "dataset.channels": CHANNELS, "dataset.side": SIDE}
    others = {**SETTINGS["perceptron"], "normalisation": "none", **shape}
    ratios = []
    for _ in range(min(bench.repetitions, 2)):
        with own_store(bench):
            free = peer("growth_program", json.dumps(settings_of(bench, 500, **others)))
        forget(file)
        with own_store(bench), memory_limit(LIMIT) as group:
            if group is None:
                click.echo("growth: no cgroup can be made here, so no memory is limited", err=True)
            given = json.dumps(settings_of(bench, 500, **others, **{"dataset.file": str(file)}))
            command = [sys.executable, "-m", "benchmarks.peers.growth_program", given]
            printed = output_of(within(group, command), dict(os.environ))
        ratios.append(json.loads(printed.splitlines()[-1])["example"] / free["example"])
    file.unlink()
    where = f"in {LIMIT / GIB:g} GiB of memory" if group else "memory not limited"
    bytes_of_one = CHANNELS * SIDE * SIDE
    what = f"perceptron: {count:,} mapped images of {bytes_of_one:,} bytes {where} / in memory"
    yield Row("growth", what, ratios)


def forget(file: Path) -> None:
    """Has the system drop a file from its page cache."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
