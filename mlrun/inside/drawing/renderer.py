"""Pictures are rendered in a process beside the training, so that it does not wait for them."""

from __future__ import annotations

import json
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO

from mlrun.inside.drawing.rendering import Rendered, render

MOST_WAITING = 64  # pictures, before the training waits for some to be done
NICENESS = 10  # the training comes first
START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from mlrun.inside.drawing.renderer import serve; serve()"
)
Take = Callable[[Rendered | None], None]


class Renderer:
    """A process that renders pictures one after the other, and a thread that hands them over.

    What the process cannot render, and everything once it is broken, comes back as None: then
    whoever gave it must render it.
    """

    def __init__(self) -> None:
        self._waiting: queue.Queue[tuple[bytes, Take] | Callable[[], None] | None] = queue.Queue(
            MOST_WAITING
        )
        self._process: subprocess.Popen[bytes] | None = None
        with suppress(OSError):
            self._process = subprocess.Popen(
                [sys.executable, "-c", START, json.dumps(sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        self._thread = threading.Thread(target=self._work, name="mlrun-renderer", daemon=True)
        self._thread.start()

    def submit(self, content: bytes, take: Take) -> None:
        """Has a picture rendered, which `rendering.packed` packed; waits if many are waiting.

        `take` is called from another thread with its files, or with None.
        """
        self._waiting.put((content, take))

    def after(self, work: Callable[[], None]) -> None:
        """Has `work` done in the other thread, once the pictures so far are rendered."""
        self._waiting.put(work)

    def close(self) -> None:
        """Waits until everything is done, and ends the process; a second time, does nothing."""
        if self._thread.is_alive():
            self._waiting.put(None)
            self._thread.join()

    def _work(self) -> None:
        while (job := self._waiting.get()) is not None:
            if isinstance(job, tuple):
                content, take = job
                take(self._ask(content))
            else:
                job()
        self._end()

    def _ask(self, content: bytes) -> Rendered | None:
        """Returns the process's answer; None once it is broken."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            return None
        try:
            pickle.dump(content, process.stdin)
            process.stdin.flush()
            answer: Rendered | None = pickle.load(process.stdout)
        except Exception:  # it was killed, or could not start
            self._end()
            return None
        return answer

    def _end(self) -> None:
        """Ends the process, whatever state it is in."""
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()
        process.kill()
        process.wait()


def serve() -> None:
    """Renders what comes on stdin until it ends, and answers on stdout: the process's part."""
    for number in (signal.SIGINT, signal.SIGTERM):  # whoever started it ends it
        signal.signal(number, signal.SIG_IGN)
    with suppress(OSError):
        os.nice(NICENESS)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    with suppress(EOFError, BrokenPipeError):
        while True:
            answer_one(sys.stdin.buffer, answers)


def answer_one(jobs: BinaryIO, answers: BinaryIO) -> None:
    """Reads one picture and writes its files, or None where they cannot be made here.

    That may be for a class of a plugin that is a single file, or an error in drawing: the
    process that made the picture tries it again and says what is wrong.
    """
    content: bytes = pickle.load(jobs)
    try:
        answer = render(content)
    except Exception:
        answer = None
    pickle.dump(answer, answers)
    answers.flush()
