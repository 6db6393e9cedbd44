"""Zeros in the place of a mapped file that can no longer be read, where a process would die.

Whoever touches a page of a mapping whose file was cut short, or whose disk fails, gets SIGBUS, and
dies without a word. The signal comes from the very instruction that reads the page, never from the
middle of Python's or malloc's work; so its handler may be Python: it makes a note, for whoever
looks, and the instruction goes on with zeros.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
import os
import signal
import threading
from collections.abc import Callable

FIXED = 0x10  # MAP_FIXED, on Linux and macOS
FAILED = ctypes.c_void_p(-1).value

GUARDED: list[Mapping] = []
CAME: set[int] = set()  # the threads that had a bus error since a mapping was last replaced
ONE = threading.Lock()  # only handlers take it: none waits for a thread that it interrupted


class Mapping:
    """A mapped file that zeros take the place of once it cannot be read; until `release`.

    Args:
        address: of the first byte: the start of a page.
        length: in bytes.
        descriptor: of the file.

    Attributes:
        lost: whether zeros are in its place.
    """

    def __init__(self, address: int, length: int, descriptor: int) -> None:
        self.address, self.length, self.descriptor = address, length, descriptor
        self.lost = False
        GUARDED.append(self)
        handle_bus_errors()

    def release(self) -> None:
        """Ends that: the mapping is about to be gone."""
        GUARDED.remove(self)

    def is_short(self) -> bool:
        """Whether the file no longer has all the bytes."""
        return os.fstat(self.descriptor).st_size < self.length


@functools.cache
def handle_bus_errors() -> Callable[..., object]:
    """Installs the handler, once; returns what must not be collected."""
    libc = ctypes.CDLL(None)
    libc.signal.argtypes, libc.signal.restype = [ctypes.c_int, ctypes.c_void_p], ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    libc.mmap.restype = ctypes.c_void_p

    def handle(number: int) -> None:
        """Replaces what cannot be read; else the signal comes again, to whoever had it before."""
        try:
            with ONE:
                mended = replace(libc)
        except Exception:
            mended = False
        if not mended:
            libc.signal(number, before)

    handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(handle)
    before = libc.signal(signal.SIGBUS, ctypes.cast(handler, ctypes.c_void_p))
    return handler


def replace(libc: ctypes.CDLL) -> bool:
    """Puts zeros in the place of the mappings whose files are short, or of all if none is.

    False if there are none left, and the thread has come before: its bus error is not of these.
    Threads that had the error at once come one after the other.
    """
    thread = threading.get_ident()
    left = [mapping for mapping in GUARDED if not mapping.lost]
    if not left:
        came_before = thread in CAME
        CAME.add(thread)
        return not came_before
    CAME.clear()
    CAME.add(thread)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | FIXED
    for mapping in [mapping for mapping in left if mapping.is_short()] or left:
        place = libc.mmap(mapping.address, mapping.length, mmap.PROT_READ, flags, -1, 0)
        if place == FAILED:
            return False
        mapping.lost = True
    return True
