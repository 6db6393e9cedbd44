"""The workers of a sweep on this machine: processes of their own, started and looked after."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from mlrun.machine.interrupts import Interrupted, undisturbed
from mlrun.running.progress import Progress

LOOKS = 0.1  # seconds between two looks
LONGEST = 60.0  # seconds that workers which were asked to end may take
RESTARTS = 5  # workers that died and are started anew, in all
GAVE_UP = 2  # the exit code of a worker that said why it ends


class Crew:
    """Worker processes of one sweep.

    Args:
        command: of a worker.
        environment: variables of a worker, over ours.
        progress: who is told.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], progress: Progress
    ) -> None:
        self._command, self._progress = [sys.executable, *command], progress
        ours = {name: text for name, text in os.environ.items() if name != "MLFLOW_RUN_ID"}
        self._environment = {**ours, **environment}
        self._processes: list[subprocess.Popen[bytes]] = []
        self._restarts = RESTARTS

    def start(self) -> None:
        """Starts one more worker."""
        process = subprocess.Popen(
            self._command, env=self._environment, stdin=subprocess.DEVNULL, stdout=2
        )
        self._processes.append(process)

    def share_threads(self, count: int) -> None:
        """Has so many workers share this machine's cores, unless the user has shared them out."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        self._environment.setdefault("OMP_NUM_THREADS", str(max(1, (cores or 1) // count)))

    def run(self, count: int, died: Callable[[], None]) -> None:
        """Starts so many workers, and waits until all have ended; nothing of them is left behind.

        Args:
            count: of workers.
            died: called when one was killed, or came upon a bug, before another takes its place.

        Raises:
            KeyboardInterrupt: it was interrupted, and all workers have ended.
        """
        self.share_threads(count)
        try:
            for _ in range(count):
                with undisturbed():
                    self.start()
            while self._processes:
                time.sleep(LOOKS)
                for process in [each for each in self._processes if each.poll() is not None]:
                    self._processes.remove(process)
                    self._after(process.returncode, died)
        except KeyboardInterrupt as error:
            self.end(error.signal if isinstance(error, Interrupted) else signal.SIGINT)
            raise
        except BaseException:
            self.end(signal.SIGTERM)
            raise

    def _after(self, code: int, died: Callable[[], None]) -> None:
        if code in (0, GAVE_UP):
            return
        died()
        self._progress.warn(f"a worker ended with exit code {code}; its trial is taken up again")
        if self._restarts:
            self._restarts -= 1
            with undisturbed():
                self.start()

    def end(self, number: int) -> None:
        """Has all workers end as a signal asks for, and waits; kills those that take too long."""
        with undisturbed():
            for process in self._processes:
                with suppress(OSError):
                    process.send_signal(number)
            deadline = time.monotonic() + LONGEST
            for process in self._processes:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.1, deadline - time.monotonic()))
            for process in self._processes:
                if process.poll() is None:
                    process.kill()
                    process.wait()
            self._processes.clear()
