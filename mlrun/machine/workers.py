"""Processes beside this one that call a function: pictures are rendered so, image files decoded.

`concurrent.futures` and `multiprocessing` would copy a process with threads (fork) or run the
user's script again in each child (spawn). A worker is started afresh, whatever the script is; only
the messages are `multiprocessing`'s.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any, NoReturn

from mlrun.machine.exits import KINDS
from mlrun.seam.sources import loaded_files

START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from mlrun.machine.workers import serve; "
    "serve(int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), json.loads(sys.argv[5]))"
)
LONGEST = 10.0  # seconds until a process that was killed is gone
LOOKS = 1.0  # seconds between two looks whether the parent is still there, or the worker stopped
STOPPED = 10  # looks in a row that find a worker stopped, and nobody waits for it any longer


class WorkerEnded(Exception):
    """A worker's process ended before it answered.

    status: what it exited with; -9 if it was killed, by signal 9.
    """

    def __init__(self, status: int) -> None:
        super().__init__(f"a worker process ended (status {status})")
        self.status = status


class Worker:
    """A process of its own that calls `function` for this one; a thread calls, and waits.

    What the function prints goes to stderr. An error that it raises ends the process. The process
    ends by itself when this one is gone; one that is stopped for ten seconds (SIGSTOP) is ended. It
    ignores SIGINT, SIGTERM and SIGHUP, which whoever
    started it sees to.

    Args:
        function: of a module that can be imported: no lambda, not of a plugin that is one file.
        nice: how far the process stands back behind others; 19 at most.
        quiet: drop what the process prints, errors too.
        plugins: have it load the plugins that this process has, the single files among them too.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        nice: int = 0,
        quiet: bool = False,
        plugins: bool = False,
    ) -> None:
        self._connection, theirs = Pipe()
        files = [str(path) for path in loaded_files()] if plugins else None
        numbers = map(str, (os.getpid(), theirs.fileno(), nice))
        arguments = (json.dumps(sys.path), *numbers, json.dumps(files))
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", START, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL if quiet else 2,  # stderr
                stderr=subprocess.DEVNULL if quiet else None,
                pass_fds=[theirs.fileno()],
            )
        with suppress(RuntimeError):  # too many threads: then nobody watches it
            threading.Thread(
                target=end_stopped, args=[self.process], name="mlrun-worker", daemon=True
            ).start()
        with suppress(OSError):  # it ended already, as the first call will say
            self._connection.send(function)

    def call(self, *arguments: object) -> Any:
        """Returns what the function returns for `arguments`, one call at a time.

        Arguments and result are pickled.

        Raises:
            WorkerEnded: the process was killed, or ended by an error of the function or its module.
        """
        try:
            self._connection.send(arguments)
            return self._connection.recv()
        except (OSError, EOFError) as error:
            raise WorkerEnded(self.kill()) from error

    def kill(self) -> int:
        """Ends the process, whatever it is doing, and returns what it exited with.

        A call that another thread waits for raises WorkerEnded.
        """
        self.process.kill()
        try:
            return self.process.wait(LONGEST)
        except subprocess.TimeoutExpired:  # a disk that hangs keeps it
            return -signal.SIGKILL


def end_stopped(process: subprocess.Popen[bytes]) -> None:
    """Watches a process until it ends, and ends it when it is stopped and does not go on.

    Whoever reads from its pipe would wait without end.
    """
    import psutil

    looks = 0
    while process.poll() is None and looks < STOPPED:
        with suppress(psutil.Error):
            state = psutil.Process(process.pid).status()
            looks = looks + 1 if state == psutil.STATUS_STOPPED else 0
        time.sleep(LOOKS)
    process.kill()


def serve(
    parent: int, descriptor: int, nice: int, plugin_files: list[str] | None = None
) -> NoReturn:
    """Calls the function that comes first with the arguments that come then: a worker's part.

    Args:
        parent: the number of the process that asks; this one ends with it, also while it works.
        descriptor: of the connection to the process that asks; it is read until that is gone.
        nice: as `Worker` has it.
        plugin_files: plugins to load besides the installed ones; None loads none at all.
    """
    for number in KINDS:
        signal.signal(number, signal.SIG_IGN)
    end_with(parent, lambda: os._exit(1))
    os.nice(nice)
    os.set_inheritable(descriptor, False)  # what the function starts must not keep it open
    if plugin_files is not None:
        from mlrun.seam.registry import discover

        discover([Path(file) for file in plugin_files])
    connection = Connection(os.dup(descriptor))  # `descriptor` is open until the process is over
    function = received(connection)
    while True:
        result = function(*received(connection))
        with suppress(ConnectionError):  # whoever asked is gone
            connection.send(result)


def end_with(parent: int, end: Callable[[], object]) -> None:
    """Has a thread call `end` when the parent of this process, of that number, is gone.

    The end of a pipe would not tell: who forks hands on the other end of it.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOKS)
        end()

    threading.Thread(target=watch, name="mlrun-parent", daemon=True).start()


def received(connection: Connection[Any, Any]) -> Any:
    """Returns the next message; ends the process once whoever sends them is gone."""
    try:
        return connection.recv()
    except (EOFError, ConnectionError):
        sys.exit()
