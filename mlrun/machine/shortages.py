"""What the machine gives no more of, in words: memory, threads, open files, space on a disk."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator

from mlrun.errors import one_line

NO_THREAD = "can't start new thread"  # as Python says it
NO_MEMORY = re.compile(  # as torch, oneDNN, CUDA, C++ and the loader of libraries say it
    r"could not create a (primitive|memory)|can't allocate memory|not enough memory"
    r"|out of memory|bad_alloc|cannot allocate memory|failed to map segment",
    re.IGNORECASE,
)
UNSAID = "error return without exception set"  # of an extension that got no memory, mostly


class Shortage(Exception):
    """The machine gives no more of something; the message says of what."""


def shortage(error: BaseException, place: object = "the files of the run") -> Shortage | None:
    """Returns what the machine gives no more of, where an error came of that; else None.

    torch says of a checkpoint that does not fit `unexpected pos 30272 vs 30164`, after it was told
    that no space is left.

    Args:
        error: what was raised.
        place: that is named where a disk is full, and the error does not name a file.
    """
    for link in chain(error):
        if isinstance(link, OSError) and link.errno in (errno.ENOSPC, errno.EDQUOT):
            return Shortage(f"disk full: there is no space left for {link.filename or place}")
        if isinstance(link, OSError) and link.errno in (errno.EMFILE, errno.ENFILE):
            return Shortage(f"too many open files, see ulimit -n ({one_line(link)})")
        if isinstance(link, RuntimeError) and NO_THREAD in str(link):
            return Shortage(f"no thread to go on with, see ulimit -u ({link})")
        if is_of_memory(link):
            return Shortage(f"out of memory ({one_line(link)})")
    return None


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yields an error, and then what it came of."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def is_of_memory(error: BaseException) -> bool:
    """Whether an error says that no memory is left, in one of the many ways."""
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, SystemError):
        return UNSAID in str(error) and is_limited()
    return isinstance(error, RuntimeError | ImportError | OSError) and bool(
        NO_MEMORY.search(str(error))
    )


def is_limited() -> bool:
    """Whether the address space of this process is (`ulimit -v`)."""
    try:
        import resource
    except ImportError:  # Windows
        return False
    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY
