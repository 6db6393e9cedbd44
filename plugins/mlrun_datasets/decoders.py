"""Image files decoded by several processes, in order, a few chunks ahead."""

from __future__ import annotations

import itertools
import queue
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlrun import MlrunError
from mlrun.plugin import (
    Helpers,
    Worker,
    WorkerEnded,
    decode_with_levels,
    decoders_added,
    quiet_decoding,
    values_of,
)

CHUNK = 4 * 2**20  # bytes of pixels a process hands over at once
MOST = 64  # files a process is handed at once
FULL = (0.0, 65535.0)  # the values of 16 bits

Range = tuple[float, float]


@dataclass(frozen=True)
class Rule:
    """How files become pixels of one shape.

    size: (H, W) that images are brought to; None: they must have `shape` already.
    shape: (C, H, W).
    value_range: the values that become 0 and 255 in images of more than 8 bits; `FULL` if None.
    """

    channels: Literal[1, 3]
    size: tuple[int, int] | None
    shape: tuple[int, int, int]
    value_range: Range | None = None


@dataclass(frozen=True)
class Chunk:
    """Some decoded files: the pixels, as bytes, of all but those that failed.

    errors: the reason of each file that failed, by its place in the chunk.
    levels: of each image of more than 8 bits, by its place, how many of its values became each of
        0 to 255, int64 (256,).
    """

    pixels: bytes
    errors: dict[int, str]
    levels: dict[int, NDArray[np.int64]]


def decode_some(paths: Sequence[str], rule: Rule) -> Chunk:
    """Returns files as one chunk, decoded in this process."""
    pixels, errors, levels = [], {}, {}
    for place, path in enumerate(paths):
        try:
            with quiet_decoding():
                image, counts = decode_with_levels(
                    Path(path),
                    channels=rule.channels,
                    size=rule.size,
                    value_range=rule.value_range or FULL,
                )
        except MlrunError as error:
            errors[place] = str(error)
            continue
        if image.shape != rule.shape:
            errors[place] = (
                f"{path} has {image.shape[1]} × {image.shape[2]} pixels, the first image "
                f"{rule.shape[1]} × {rule.shape[2]} (see --dataset.size)"
            )
            continue
        pixels.append(image.tobytes())
        if counts is not None:
            levels[place] = counts
    return Chunk(b"".join(pixels), errors, levels)


def measure_some(paths: Sequence[str], _: Rule) -> Range | None:
    """Returns the lowest and highest value of the files of more than 8 bits; None without any.

    A file that cannot be read does not count.
    """
    ranges = []
    for path in paths:
        try:
            with quiet_decoding():
                ranges.append(values_of(Path(path)))
        except MlrunError:
            continue
    return joint(ranges)


def joint(ranges: Sequence[Range | None]) -> Range | None:
    """Returns the range that covers all of these, or None."""
    pairs = [one for one in ranges if one is not None]
    return (min(low for low, _ in pairs), max(high for _, high in pairs)) if pairs else None


def measure_all(paths: Sequence[str], rule: Rule, workers: int) -> Range | None:
    """Returns what `measure_some` does, measured by `workers` processes."""
    return joint([*spread(measure_some, in_tasks(paths, MOST), rule, workers)])


def decode_all(paths: Sequence[str], rule: Rule, workers: int) -> Generator[Chunk]:
    """Yields files as chunks, in their order, decoded by `workers` processes.

    Raises:
        MlrunError: a process ended before its work was done.
    """
    channels, height, width = rule.shape
    length = max(1, min(MOST, CHUNK // (channels * height * width)))
    yield from spread(decode_some, in_tasks(paths, length), rule, workers)


def in_tasks(paths: Sequence[str], length: int) -> list[Sequence[str]]:
    """Returns the paths in slices of that length."""
    return [paths[start : start + length] for start in range(0, len(paths), length)]


def spread(
    function: Callable[[Sequence[str], Rule], Any],
    tasks: Sequence[Sequence[str]],
    rule: Rule,
    workers: int,
) -> Iterator[Any]:
    """Yields what `function` returns for each task, in order.

    Raises:
        MlrunError: a process ended before its work was done.
    """
    size = min(workers, len(tasks))
    if size < 2:
        yield from (function(task, rule) for task in tasks)
        return
    with Crew(size, rule, function) as crew:
        if crew.workers:
            yield from crew.decode(tasks)
        else:
            yield from (function(task, rule) for task in tasks)


class Crew:
    """Decoding processes, which call `function` for some files each; a thread waits on each.

    There are as many as can be had, be it none.
    """

    def __init__(
        self,
        size: int,
        rule: Rule,
        function: Callable[[Sequence[str], Rule], Any] = decode_some,
    ) -> None:
        self.size = size
        self.rule = rule
        self.function = function

    def __enter__(self) -> Crew:
        plugins = decoders_added()
        self.workers: list[Worker] = []
        with suppress(OSError):  # no more processes can be had
            for _ in range(self.size):
                self.workers.append(Worker(self.function, plugins=plugins))
        self.idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        for worker in self.workers:
            self.idle.put(worker)
        self.threads = Helpers(len(self.workers), "decoders")
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.kill()
        self.threads.shutdown(cancel_futures=True)

    def decode(self, tasks: Sequence[Sequence[str]]) -> Iterator[Any]:
        """Yields each task's result, in order; only so many are ahead that memory is bounded."""
        futures: deque[Future[Any]] = deque()
        remaining = iter(tasks)
        for task in itertools.islice(remaining, 2 * self.size):
            futures.append(self.threads.submit(self.decode_chunk, task))
        while futures:
            yield futures.popleft().result()
            for task in itertools.islice(remaining, 1):
                futures.append(self.threads.submit(self.decode_chunk, task))

    def decode_chunk(self, paths: Sequence[str]) -> Any:
        """Has an idle process work on `paths`."""
        worker = self.idle.get()
        try:
            return worker.call(paths, self.rule)
        except WorkerEnded as error:
            raise MlrunError(
                f"a decoding process ended (status {error.status}) in or after {paths[0]}; "
                "--dataset.workers 1 decodes without"
            ) from error
        finally:
            self.idle.put(worker)
