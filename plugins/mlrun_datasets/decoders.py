"""Image files decoded by several processes, in order, a few chunks ahead."""

from __future__ import annotations

import itertools
import queue
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mlrun import MlrunError
from mlrun.plugin import Worker, WorkerEnded, decode, quiet_decoding

CHUNK = 4 * 2**20  # bytes of pixels a process hands over at once
MOST = 64  # files a process is handed at once


@dataclass(frozen=True)
class Rule:
    """How files become pixels of one shape.

    size: (H, W) that images are brought to; None: they must have `shape` already.
    shape: (C, H, W).
    """

    channels: Literal[1, 3]
    size: tuple[int, int] | None
    shape: tuple[int, int, int]


@dataclass(frozen=True)
class Chunk:
    """Some decoded files: the pixels, as bytes, of all but those that failed.

    errors: the reason of each file that failed, by its place in the chunk.
    """

    pixels: bytes
    errors: dict[int, str]


def decode_some(paths: Sequence[str], rule: Rule) -> Chunk:
    """Returns files as one chunk, decoded in this process."""
    pixels, errors = [], {}
    for place, path in enumerate(paths):
        try:
            with quiet_decoding():
                image = decode(Path(path), channels=rule.channels, size=rule.size)
        except MlrunError as error:
            errors[place] = str(error)
            continue
        if image.shape == rule.shape:
            pixels.append(image.tobytes())
        else:
            errors[place] = (
                f"{path} has {image.shape[1]} × {image.shape[2]} pixels, the first image "
                f"{rule.shape[1]} × {rule.shape[2]} (see --dataset.size)"
            )
    return Chunk(b"".join(pixels), errors)


def decode_all(paths: Sequence[str], rule: Rule, workers: int) -> Iterator[Chunk]:
    """Yields files as chunks, in their order, decoded by `workers` processes.

    Raises:
        MlrunError: a process ended before its work was done.
    """
    channels, height, width = rule.shape
    length = max(1, min(MOST, CHUNK // (channels * height * width)))
    tasks = [paths[start : start + length] for start in range(0, len(paths), length)]
    size = min(workers, len(tasks))
    if size < 2:
        yield from (decode_some(task, rule) for task in tasks)
        return
    with Crew(size, rule) as crew:
        yield from crew.decode(tasks)


class Crew:
    """Decoding processes, a thread waiting on each."""

    def __init__(self, size: int, rule: Rule) -> None:
        self.size = size
        self.rule = rule

    def __enter__(self) -> Crew:
        self.workers = [Worker(decode_some) for _ in range(self.size)]
        self.idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        for worker in self.workers:
            self.idle.put(worker)
        self.threads = ThreadPoolExecutor(self.size)
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.kill()
        self.threads.shutdown(cancel_futures=True)

    def decode(self, tasks: Sequence[Sequence[str]]) -> Iterator[Chunk]:
        """Yields a chunk for each task, in order; only so many are ahead that memory is bounded."""
        futures: deque[Future[Chunk]] = deque()
        remaining = iter(tasks)
        for task in itertools.islice(remaining, 2 * self.size):
            futures.append(self.threads.submit(self.decode_chunk, task))
        while futures:
            yield futures.popleft().result()
            for task in itertools.islice(remaining, 1):
                futures.append(self.threads.submit(self.decode_chunk, task))

    def decode_chunk(self, paths: Sequence[str]) -> Chunk:
        """Has an idle process decode `paths`."""
        worker = self.idle.get()
        try:
            chunk: Chunk = worker.call(paths, self.rule)
        except WorkerEnded as error:
            raise MlrunError(
                f"a decoding process ended (status {error.status}) in or after {paths[0]}; "
                "--dataset.workers 1 decodes without"
            ) from error
        finally:
            self.idle.put(worker)
        return chunk
