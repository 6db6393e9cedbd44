"""Renders pictures in a worker process, so that training does not wait for them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import suppress

from mlrun.inside.drawing.rendering import Rendered, render
from mlrun.machine.workers import Worker, WorkerEnded

MOST_WAITING = 64  # pictures, before the training waits for some to be done
NICENESS = 10  # the training comes first
Take = Callable[[Rendered | None], None]


class Renderer:
    """A process that renders pictures one after the other, and a thread that sends them to it.

    Of a picture that the process cannot render, and of each once it has ended, the result is
    None: the caller must render it.
    """

    def __init__(self) -> None:
        self._waiting: queue.Queue[tuple[bytes, Take] | Callable[[], None] | None] = queue.Queue(
            MOST_WAITING
        )
        self._worker: Worker | None = None
        with suppress(OSError):
            self._worker = Worker(try_render, nice=NICENESS, quiet=True)
        self._thread = threading.Thread(target=self._work, name="mlrun-renderer", daemon=True)
        self._thread.start()

    def submit(self, content: bytes, take: Take) -> None:
        """Queues a picture of `rendering.packed` to be rendered; waits if the queue is full.

        `take` is called from another thread with its files, or with None.
        """
        self._waiting.put((content, take))

    def after(self, work: Callable[[], None]) -> None:
        """Calls `work` in the other thread, once the pictures so far are rendered."""
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
        """Returns the process's answer; None once the process has ended."""
        if self._worker is None:
            return None
        try:
            answer: Rendered | None = self._worker.call(content)
        except WorkerEnded:
            self._worker = None
            return None
        return answer

    def _end(self) -> None:
        """Ends the process, if it has not ended."""
        if self._worker is not None:
            self._worker.kill()
            self._worker = None


def try_render(content: bytes) -> Rendered | None:
    """Returns a picture's files; None where the worker cannot render it.

    That may be for a class of a plugin that is a single file, or an error in drawing: the
    process that made the picture tries it again and says what is wrong.
    """
    try:
        return render(content)
    except Exception:
        return None
