"""Time and memory as the data grow: from a thousand images to a million, and beyond memory.

Random images, the same number of steps for each size; the time is that of the steps. All batches
are whole ones: the short one at the end of each epoch takes as long for fewer examples, which tells
in epochs of sixteen steps only. Each size is a process of its own, and the sizes take turns.

Short epochs are slower than long ones by what comes once an epoch, and by what is kept after it:
that leaves the processor's caches with something else, and is sent to MLflow beside the next. So a
loop that one would write is measured too, with all of that and without.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from benchmarks.harness import Bench, Row, output_of, own_store, peer
from benchmarks.limits import memory_limit, within
from benchmarks.networks import SETTINGS, Name
from benchmarks.peers import random_images
from benchmarks.turns import in_turns

SIZES = (1_000, 10_000, 100_000, 1_000_000)
STEPS: dict[Name, int] = {"perceptron": 8000, "lenet": 1500}
BATCH = 64
LIMIT = 2**30  # bytes of memory
SIDE, CHANNELS = 64, 3  # 12,288 bytes an image
GIB = 2**30


def run(bench: Bench) -> Iterator[Row]:
    """Yields the growth of time and memory, then the time of data that do not fit in memory."""
    sizes = (1_000, 2_000) if bench.quick else SIZES
    first, last = sizes[0], sizes[-1]
    memory: list[float] = []
    names: list[Name] = ["lenet"] if bench.quick else list(STEPS)
    for name in names:
        programs = [mlrun_program(bench, name, size) for size in sizes]
        found = [measured(bench, programs) for _ in range(bench.repetitions)]
        memory += [(f[-1]["memory"] - f[0]["memory"]) / (784 * (last - first)) for f in found]
        times = [[f["example"] for f in repetition] for repetition in found]
        for place, size in enumerate(sizes[1:], 1):
            ratios = [some[place] / some[0] for some in times]
            what = f"{name}: an example, of {size:,} images / of {first:,}"
            yield Row("growth", what, ratios, 0.9, 1.1)
        yield once_an_epoch(f"{name}: mlrun", times, first)
    yield from written_out(bench, first, sizes[1])
    yield Row("growth", f"memory that {last:,} images take / their bytes", memory, most=1.2)
    yield from beyond_memory(bench)


def once_an_epoch(what: str, times: Sequence[Sequence[float]], few: int) -> Row:
    """Returns what an epoch takes beyond its steps: by how much steps of few images are slower.

    `times`, of each repetition, are the seconds of an example: of few images, of ten times as many.
    """
    examples = few - few % BATCH
    values = [1000 * examples * (some[0] - some[1]) for some in times]
    return Row("growth", f"{what}, an epoch of {few:,} images beyond its steps", values, unit="ms")


def written_out(bench: Bench, few: int, many: int) -> Iterator[Row]:
    """Yields the same of a loop that one would write: bare, and where each epoch is kept."""
    steps = 20 if bench.quick else STEPS["perceptron"]
    kinds = ("bare", "kept")
    programs = [
        ["raw_growth_program", str(size), str(steps), kind]
        for kind in kinds
        for size in (few, many)
    ]
    found = [measured(bench, programs) for _ in range(bench.repetitions)]
    for place, kind in enumerate(kinds):
        times = [[f["example"] for f in some[2 * place : 2 * place + 2]] for some in found]
        what = f"perceptron: a loop written out, {kind}"
        ratios = [t[1] / t[0] for t in times]
        yield Row("growth", f"{what}: an example, of {many:,} images / of {few:,}", ratios)
        yield once_an_epoch(what, times, few)


def settings_of(bench: Bench, steps: int, **others: object) -> dict[str, object]:
    """Returns the settings of a run on random images."""
    return {
        "plugin": str(Path(random_images.__file__)),
        "dataset": "random-images",
        "batch_size": BATCH,
        "drop_last": True,
        "steps": 20 if bench.quick else steps,
        "normalisation": "0.5/0.25",
        "visualisers": "none",
        "log_model": False,
        **others,
    }


def mlrun_program(bench: Bench, name: Name, size: int) -> list[str]:
    """Returns the program that trains a network on so many images, and its argument."""
    chosen = {**SETTINGS[name], "dataset.count": size}
    return ["growth_program", json.dumps(settings_of(bench, STEPS[name], **chosen))]


def measured(bench: Bench, programs: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    """Returns what programs of `benchmarks.peers` print that take turns, each with its store."""
    with ExitStack() as stack:
        lines = in_turns(
            [
                (
                    [sys.executable, "-m", f"benchmarks.peers.{name}", *arguments],
                    stack.enter_context(own_store(bench)),
                )
                for name, *arguments in programs
            ]
        )
    return [json.loads(line) for line in lines]


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
    for _ in range(bench.repetitions):
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
