"""The end of a process that a signal asked for: soon, whatever still hangs in it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

NAMES = ("SIGTERM", "SIGHUP", "SIGINT")
KINDS = [signal.Signals[name] for name in NAMES if name in signal.Signals.__members__]
AT_MOST = 120.0  # seconds, but for those of steps, from the first signal to the end of the process
ECHO = 1.0  # seconds in which torchrun passes on to us a signal that reached us by itself, too
LAST = 5.0  # seconds for other threads once the process has been ended
LOOKS = 1.0  # seconds between two looks whether it has


def echo() -> float:
    """Returns the seconds in which a signal that came is the first one once more."""
    return ECHO if os.environ.get("TORCHELASTIC_RUN_ID") else 0.0


def end_at_last(number: int, is_ending: Callable[[], bool | None]) -> None:
    """Ends the process where it hangs: it has not ended `AT_MOST` after a signal.

    Args:
        number: of the signal.
        is_ending: whether it still is; None where it may take as long as it takes.
    """
    waited = 0.0
    while waited < AT_MOST:
        time.sleep(LOOKS)
        state = is_ending()
        if state is False:
            return
        waited += LOOKS if state else 0.0
    line = (
        f"Error: interrupted, and after {AT_MOST:g} s something still hangs: the process is ended "
        "as by kill -9; mlrun doctor tells what became of its run\n"
    )
    writer = threading.Thread(target=os.write, args=[2, line.encode()], daemon=True)
    writer.start()
    writer.join(LAST)  # nobody may read it
    os._exit(128 + number)


def end_soon(code: int) -> None:
    """Sees to it that a process which is about to exit does: a signal ends it at once from now on.

    Of several processes none is heeded: once one exits, the others get one, instead of `code`.
    Where a signal asked for it, threads that Python would wait for without end get some seconds.

    Args:
        code: what it exits with.
    """

    def end(*_: object) -> None:
        os._exit(code)

    for kind in KINDS:
        if signal.getsignal(kind) not in (signal.SIG_IGN, None):
            signal.signal(kind, signal.SIG_IGN if echo() else end)
    if code - 128 not in KINDS:
        return
    deadline = time.monotonic() + LAST
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                os._exit(code)
