"""Sums of the blocks of a file, by which a flipped bit is found; loads no torch."""

from __future__ import annotations

import zlib

BLOCK = 2**20  # bytes; of so many is read for one image that is used


class BlockSums:
    """The CRC-32 of each block of a file, of the bytes that are written to it.

    `update` takes them one after another, in pieces of any length.
    """

    def __init__(self) -> None:
        self._whole: list[int] = []
        self._last = self._length = 0

    def update(self, content: bytes) -> None:
        """Takes the next bytes."""
        rest = memoryview(content)
        while rest:
            some, rest = rest[: BLOCK - self._length], rest[BLOCK - self._length :]
            self._last, self._length = zlib.crc32(some, self._last), self._length + len(some)
            if self._length == BLOCK:
                self._whole.append(self._last)
                self._last = self._length = 0

    def sums(self) -> list[int]:
        """Returns the sum of each block so far; the last may be shorter than the others."""
        return [*self._whole, self._last] if self._length else self._whole.copy()
