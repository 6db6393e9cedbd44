"""Renders pictures in a worker process, so that training does not wait for them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import suppress

from mlrun.inside.drawing.rendering import Rendered, render
from mlrun.machine.helpers import has_ended, start_threads
from mlrun.machine.interrupts import undisturbed
from mlrun.machine.workers import Worker, WorkerEnded

MOST_WAITING = 64  # pictures and other work; what comes then is left to the caller
LONGEST = 10.0  # seconds for the picture at hand to be logged, on a disk that answers
NICENESS = 10  # the training comes first
Take = Callable[[Rendered | None], None]


class Renderer:
    """A process that renders pictures one after the other, and a thread that sends them to it.

    The process stands back behind the training, so on a busy machine it hardly gets on: nobody
    waits for it. Of a picture that it cannot render, that is taken from it, or that comes while too
    many wait, the result is None: the caller must render it. So where no thread or no process can
    be had.
    """

    def __init__(self) -> None:
        self._waiting: queue.Queue[tuple[bytes, Take] | Callable[[], None] | None] = queue.Queue(
            MOST_WAITING
        )
        self._worker: Worker | None = None
        self._thread = threading.Thread(target=self._work, name="mlrun-renderer", daemon=True)
        if start_threads([self._thread]):
            with suppress(OSError):
                self._worker = Worker(try_render, nice=NICENESS, quiet=True)

    def submit(self, content: bytes, take: Take) -> None:
        """Queues a picture of `rendering.packed` to be rendered, without waiting.

        `take` is called with its files, or with None; mostly from another thread.
        """
        try:
            self._waiting.put_nowait((content, take))
        except queue.Full:
            take(None)

    def after(self, work: Callable[[], None]) -> None:
        """Calls `work` in the other thread after the pictures so far; here, if too many wait."""
        try:
            self._waiting.put_nowait(work)
        except queue.Full:
            work()

    def take_back(self) -> bool:
        """Takes the next picture or work from the process; False if none waits.

        A picture's result is None; work is done here.
        """
        with undisturbed():  # so that none is lost
            try:
                job = self._waiting.get_nowait()
            except queue.Empty:
                return False
            if isinstance(job, tuple):
                job[1](None)
            elif job is not None:
                job()
        return True

    def close(self) -> None:
        """Takes back everything, and ends the process; a second time, does nothing."""
        while self.take_back():
            pass
        worker = self._worker
        if self._thread.is_alive():
            if worker is not None:
                worker.kill()  # the picture that it is at comes back
            self._waiting.put(None)
            has_ended(self._thread, LONGEST)

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
