"""Processes that take turns, since the machine's speed changes within seconds.

Each prints a line when its turn is over, and waits for one until it goes on.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import IO

TURN = 0.5  # seconds
OVER = "turn over"


class Turn:
    """The turns of this process."""

    def __init__(self) -> None:
        self.began = 0.0

    def wait(self) -> None:
        """Gives the turn back and waits for the next; where nobody gives one, it is there."""
        print(OVER, flush=True)
        sys.stdin.readline()
        self.began = time.perf_counter()

    def spent(self) -> float:
        """Waits for the next turn where this one has lasted; returns the seconds that took."""
        now = time.perf_counter()
        if now - self.began < TURN:
            return 0.0
        self.wait()
        return self.began - now


def in_turns(programs: Sequence[tuple[Sequence[str], Mapping[str, str]]]) -> list[str]:
    """Runs commands, each in its environment, one at a time; returns the last line of each.

    Raises:
        RuntimeError: one of them failed; the message has its last lines.
    """
    with ExitStack() as stack:
        running = []
        for command, environment in programs:
            process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.callback(end, process)
            running.append(process)
            next_line(process)
        last = [OVER] * len(running)
        while OVER in last:
            for place, process in enumerate(running):
                if last[place] == OVER:
                    pipe_of(process.stdin).write("\n")
                    pipe_of(process.stdin).flush()
                    last[place] = next_line(process)
        return last


def end(process: subprocess.Popen[str]) -> None:
    """Ends a process that is still at work; torchrun ends those that it started, if it is asked."""
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()


def next_line(process: subprocess.Popen[str]) -> str:
    """Returns the next line that a process prints; one that printed its last has ended then."""
    line = pipe_of(process.stdout).readline().strip()
    if line != OVER:
        _, errors = process.communicate()
        if process.returncode:
            raise RuntimeError(f"{process.args!r}: {errors[-2000:]}")
    return line


def pipe_of(pipe: IO[str] | None) -> IO[str]:
    """Returns the pipe, which is there."""
    assert pipe is not None
    return pipe
