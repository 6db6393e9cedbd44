"""stdout and stderr that cost nobody his run: what cannot be written there is left out."""

from __future__ import annotations

import codecs
import io
import json
import os
import select
import sys
from contextlib import suppress

from mlrun.errors import escape

PATIENCE = 5.0  # seconds for a reader who reads no more, such as a pager; then none, until he does
PIECE = 512  # bytes that a pipe which can be written to takes without waiting, on every system


class Lossy(io.FileIO):
    """A file of the process that takes everything, and leaves out what it cannot write.

    That is where the reader has closed it (`| head -2`) or stopped to read, the terminal is gone,
    or the disk is full.
    """

    _patience = PATIENCE

    def write(self, data: object, /) -> int:
        """Writes some of the bytes, or leaves all of them out."""
        view = memoryview(data)  # type: ignore[arg-type]  # bytes, or what is like them
        if not self._is_ready():
            return view.nbytes
        try:
            written = super().write(view[:PIECE])
        except OSError:
            return view.nbytes
        return view.nbytes if written is None else written

    def _is_ready(self) -> bool:
        """Whether it can be written to, for which one that is full is waited for once."""
        with suppress(OSError, ValueError, AttributeError):  # no `poll` here
            poll = select.poll()
            poll.register(self.fileno(), select.POLLOUT)
            ready = bool(poll.poll(1000 * self._patience))
            self._patience = PATIENCE if ready else 0.0
            return ready
        return True


def make_lossy(*names: str) -> None:
    """Makes `stdout` or `stderr` lossy, unless something else stands in the process's place."""
    for name in names:
        stream = getattr(sys, name)
        if stream is not getattr(sys, f"__{name}__") or not isinstance(stream, io.TextIOWrapper):
            continue
        with suppress(OSError):
            stream.flush()
        raw = Lossy(stream.fileno(), "w", closefd=False)
        lossy = io.TextIOWrapper(
            io.BufferedWriter(raw),
            encoding=stream.encoding,
            errors=stream.errors,
            line_buffering=True,
        )
        setattr(sys, name, lossy)


def fill_gaps() -> None:
    """Opens stdin, stdout and stderr where they are closed (`2>&-`), on nothing.

    What is opened next would have their numbers, and get what libraries print.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # has the lowest number that is free
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115  # as long as the process


def escape_the_unwritable() -> None:
    """Has stdout and stderr escape the characters that their encoding lacks, not fail on them."""
    codecs.register_error("mlrun", escaped)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="mlrun")


def escaped(error: UnicodeError) -> tuple[str, int]:
    """Returns escapes, as JSON has them, in place of what cannot be encoded; and where to go on."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    characters = error.object[error.start : error.end]
    halves = "\ud800", "\udfff"  # as a byte of a file's name is held
    texts = (escape(c) if halves[0] <= c <= halves[1] else json.dumps(c)[1:-1] for c in characters)
    return "".join(texts), error.end
