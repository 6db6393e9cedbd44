"""Image files decoded by several processes, in order, a few chunks ahead.

The processes are started afresh and talk through pipes. `multiprocessing` would copy a
process with threads (fork) or run the user's script again in each child (spawn); these do
neither, and they end by themselves when their parent is gone.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import queue
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from mlrun import MlrunError
from mlrun.plugin import decode, quiet_decoding

CHUNK = 4 * 2**20  # bytes of pixels a process hands over at once
MOST = 64  # files a process is handed at once
CODE = "from mlrun_datasets.decoders import serve; serve()"


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

    failed: the place of each file that failed among those of the chunk, with the reason.
    """

    pixels: bytes
    failed: dict[int, str]


def decode_some(paths: Sequence[str], rule: Rule) -> Chunk:
    """Returns files as one chunk, decoded in this process."""
    pixels, failed = [], {}
    for place, path in enumerate(paths):
        try:
            with quiet_decoding():
                image = decode(Path(path), channels=rule.channels, size=rule.size)
        except MlrunError as error:
            failed[place] = str(error)
            continue
        if image.shape == rule.shape:
            pixels.append(image.tobytes())
        else:
            failed[place] = (
                f"{path} has {image.shape[1]} × {image.shape[2]} pixels, the first image "
                f"{rule.shape[1]} × {rule.shape[2]} (see --dataset.size)"
            )
    return Chunk(b"".join(pixels), failed)


def decode_all(paths: Sequence[str], rule: Rule, workers: int) -> Iterator[Chunk]:
    """Yields files as chunks, in their order, decoded by `workers` processes.

    Raises:
        MlrunError: a process ended before its work was done.
    """
    channels, height, width = rule.shape
    length = max(1, min(MOST, CHUNK // (channels * height * width)))
    tasks = [paths[start : start + length] for start in range(0, len(paths), length)]
    workers = min(workers, len(tasks))
    if workers < 2:
        yield from (decode_some(task, rule) for task in tasks)
        return
    with Crew(workers, rule) as crew:
        yield from crew.decode(tasks)


class Crew:
    """Decoding processes, a thread waiting on each."""

    def __init__(self, workers: int, rule: Rule) -> None:
        self.workers = workers
        self.rule = rule

    def __enter__(self) -> Crew:
        self.idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        self.processes = [start() for _ in range(self.workers)]
        for process in self.processes:
            self.idle.put(process)
        self.threads = ThreadPoolExecutor(self.workers)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.kill()
        self.threads.shutdown(cancel_futures=True)
        for process in self.processes:
            with contextlib.suppress(BrokenPipeError):
                process.communicate()

    def decode(self, tasks: Sequence[Sequence[str]]) -> Iterator[Chunk]:
        """Yields a chunk for each task, in order; only so many are ahead that memory is bounded."""
        waiting: deque[Future[Chunk]] = deque()
        coming = iter(tasks)
        for task in itertools.islice(coming, 2 * self.workers):
            waiting.append(self.threads.submit(self.ask, task))
        while waiting:
            yield waiting.popleft().result()
            for task in itertools.islice(coming, 1):
                waiting.append(self.threads.submit(self.ask, task))

    def ask(self, paths: Sequence[str]) -> Chunk:
        """Has an idle process decode `paths`."""
        process = self.idle.get()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            question = {"paths": list(paths), "rule": astuple(self.rule)}
            process.stdin.write(json.dumps(question).encode() + b"\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
            pixels = process.stdout.read(answer["bytes"])
            if len(pixels) < answer["bytes"]:
                raise EOFError
        except (OSError, ValueError, EOFError) as error:
            raise MlrunError(
                f"a decoding process ended (status {process.wait()}) in or after {paths[0]}; "
                "--dataset.workers 1 decodes without"
            ) from error
        finally:
            self.idle.put(process)
        return Chunk(pixels, {int(place): why for place, why in answer["failed"].items()})


def start() -> subprocess.Popen[bytes]:
    """Returns a new decoding process; it sees the packages that this one sees."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.Popen(
        [sys.executable, "-P", "-c", CODE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    )


def serve() -> None:
    """Answers questions on stdin until there are no more; what `start` starts."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent sees to it
    answers: BinaryIO = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a decoder prints must not come between the answers
    with contextlib.suppress(BrokenPipeError):  # the parent is gone
        for line in sys.stdin.buffer:
            question = json.loads(line)
            channels, size, shape = question["rule"]
            rule = Rule(channels, size and (size[0], size[1]), tuple(shape))
            chunk = decode_some(question["paths"], rule)
            head = {"bytes": len(chunk.pixels), "failed": chunk.failed}
            answers.write(json.dumps(head).encode() + b"\n")
            answers.write(chunk.pixels)
            answers.flush()
