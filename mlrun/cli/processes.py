"""A command line of several processes: rank 0 prints and answers for all, the others take part."""

from __future__ import annotations

import io
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import click

from mlrun.cli.terminal import echo
from mlrun.errors import AskedOfOne, LedElsewhere, MlrunError
from mlrun.machine.exits import AT_MOST, KINDS
from mlrun.machine.interrupts import Interrupted, undisturbed
from mlrun.machine.launcher import is_there, rank_0_beside
from mlrun.machine.place import Place, place_here

TOGETHER = ("train", "resume", "reproduce")  # the commands that several processes carry out
TAKES_PART = -1  # what such a command returns in the others, where it would begin
LINGERS = 20.0  # seconds that they leave to rank 0 on another host to end the run, and exit
LINGERS_ASKED = 3.0  # where all were asked to end, for which torchrun waits
LOOKS = 0.05  # seconds between two looks whether rank 0 on this host has ended
KILLED = 128 + getattr(signal, "SIGKILL", 9)


def start_all(asked: AskedOfOne, args: Sequence[str]) -> int:
    """Starts the processes that a command line asks for; returns the exit code of rank 0.

    Raises:
        MlrunError: there are fewer devices than processes, or they cannot be started.
    """
    with undisturbed():
        from mlrun.machine import agent, devices

    count = asked.processes
    devices.resolve(asked.device, Place(size=count, local_size=count))
    code = agent.start(count, [*program(), *args])
    if code == KILLED:
        echo("Error: rank 0 was killed; mlrun doctor tells what became of its run", err=True)
    return code


def quiet_torch() -> None:
    """Has torch not warn of processes that cannot be reached, with the stack of its C++."""
    if os.environ.get("WORLD_SIZE"):
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # which it reads as it is imported


def program() -> list[str]:
    """Returns Python's arguments that start mlrun, from the same place as in this process."""
    from_here = Path(sys.argv[0]).name == "__main__.py"  # python -m mlrun, perhaps in a checkout
    return ["-m", "mlrun"] if from_here else ["-P", "-m", "mlrun"]


def is_led() -> bool:
    """Whether another process leads this one; not where its variables are wrong."""
    try:
        return place_here().rank > 0
    except MlrunError:  # whoever needs its place says so
        return False


def check_alone(name: str) -> None:
    """Raises UsageError where several processes were started for a command that one carries out."""
    if name in TOGETHER:
        return
    try:
        size = place_here().size
    except MlrunError:  # nothing that matters to it
        return
    if size > 1:
        raise click.UsageError(
            f"{name} is for one process, and WORLD_SIZE is {size}; start it without torchrun, "
            f"which is for mlrun {', '.join(TOGETHER)}"
        )


def take_part(called: Callable[[], object], name: str) -> int:
    """Does what the others than rank 0 do with a command line; returns the exit code.

    They print nothing but what rank 0 cannot know.

    Args:
        called: the command line, which returns `TAKES_PART` where they are to take part.
        name: of the command.
    """
    try:
        code = unseen(called, name)
        if code == TAKES_PART:
            with undisturbed():
                from mlrun.running.together import follow_run

            follow_run()
            code = 0
    except LedElsewhere:  # rank 0 says why
        code = 1
        leave_to_rank_0(code)
    except KeyboardInterrupt as error:
        number = error.signal if isinstance(error, Interrupted) else signal.SIGINT
        code = 128 + number
        if not (isinstance(error, Interrupted) and error.reason):  # nobody is there to end us
            leave_to_rank_0(code, LINGERS_ASKED)
    except MlrunError as error:
        echo(f"Error: {error}", err=True)
        code = 2
    return code


def leave_to_rank_0(code: int, seconds: float = LINGERS) -> None:
    """Waits for rank 0 to exit first: who started them ends all others after the first of them.

    Where it can be seen, on this host, this process is ended right after it: nobody waits longer.

    Args:
        code: what it is ended with.
        seconds: how long, where it cannot be seen. Signals end the wait then.
    """
    first = rank_0_beside()
    for kind in KINDS:
        if signal.getsignal(kind) not in (signal.SIG_IGN, None):
            signal.signal(kind, signal.SIG_DFL if first is None else signal.SIG_IGN)
    if first is None:
        time.sleep(seconds)
        return
    deadline = time.monotonic() + AT_MOST
    while is_there(first) and time.monotonic() < deadline:
        time.sleep(LOOKS)
    os._exit(code)


def unseen(called: Callable[[], object], name: str) -> int:
    """Returns what a command line comes to; what is wrong with it, rank 0 says.

    Where it is right for rank 0, on another machine, rank 0 is told while they get ready.
    """
    nowhere = io.StringIO()
    with redirect_stdout(nowhere), redirect_stderr(nowhere):
        try:
            code = called()
        except (click.ClickException, MlrunError):
            return TAKES_PART if name in TOGETHER else 2
    return code if isinstance(code, int) else 0
