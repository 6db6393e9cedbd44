"""Images mapped from a file that is compared, block by block, with what was written to it."""

from __future__ import annotations

import math
import mmap
import os
import threading
import warnings
import weakref
import zlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mlrun.data.block_sums import BLOCK
from mlrun.errors import MlrunError
from mlrun.machine.bus_errors import Mapping

FILES: list[CheckedFile] = []  # those that are mapped


class CheckedFile:
    """A file that images are mapped from, and what is known of its blocks.

    Once it is found not to be as it was written, it is removed, so that whoever made it makes it
    again; what is mapped stays. It may be used by several threads.

    Args:
        path: of the file.
        sums: the sum of each block; see `BlockSums`.
        length: of the file, in bytes.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path, sums: Sequence[int], length: int) -> None:
        self.path, self.sums, self.length = path, sums, length
        self.descriptor = os.open(path, os.O_RDONLY)
        self._times = times_of(os.fstat(self.descriptor))
        self._compared = np.zeros(len(sums), bool)
        self._fault = ""
        self._lock = threading.Lock()

    def map(self) -> mmap.mmap:
        """Returns the whole file, mapped; when that is collected, the file is closed."""
        mapped = mmap.mmap(self.descriptor, self.length, access=mmap.ACCESS_READ)
        self.address = np.frombuffer(mapped, np.uint8).ctypes.data
        self._mapping = Mapping(self.address, self.length, self.descriptor)
        FILES.append(self)
        weakref.finalize(mapped, self._close)
        return mapped

    def _close(self) -> None:
        FILES.remove(self)
        self._mapping.release()
        os.close(self.descriptor)

    @property
    def fault(self) -> str:
        """What is wrong with the file and what to do, as far as it is known yet; '' for nothing."""
        if self._mapping.lost and not self._fault:
            self._found("was cut short, or its disk fails: it can no longer be read")
        return self._fault

    def compare(self, blocks: Iterable[int]) -> None:
        """Reads the blocks with these numbers, unless that was done, and compares their sums.

        Raises:
            MlrunError: one is not as it was written.
        """
        for block in blocks:
            with self._lock:  # a change must not come between the reading and the note
                if not self._compared[block] and not self.fault:
                    self._compared[block] = self._is_whole(block)
            self._raise_fault()

    def compare_rows(self, images: Tensor, rows: NDArray[np.int64]) -> None:
        """Does so with the blocks that these rows of `images`, a view of the file, lie in.

        Raises:
            MlrunError: one is not as it was written.
        """
        size = images[0].numel()
        if not images.is_contiguous() or not size:
            return self.compare(range(len(self.sums)))
        first = images.data_ptr() - self.address + rows * size
        last = (first + size - 1) // BLOCK
        first //= BLOCK
        spans = [np.minimum(first + k, last) for k in range(int((last - first).max()) + 1)]
        return self.compare(np.unique(np.concatenate(spans)).tolist())

    def check(self) -> None:
        """Looks whether the file was changed; what was compared before is compared again then.

        Raises:
            MlrunError: it is not as it was written, whenever that was found.
        """
        self._raise_fault()
        state = os.fstat(self.descriptor)
        if state.st_size < self.length:
            self._found(f"was cut short, to {state.st_size:,} of {self.length:,} bytes")
        elif times_of(state) != self._times:
            with self._lock:
                compared = np.flatnonzero(self._compared)
                self._compared[:] = False
            self.compare(compared.tolist())
            self._times = times_of(state)
        self._raise_fault()

    def _is_whole(self, block: int) -> bool:
        """Whether a block is as it was written; else, what is wrong is noted."""
        try:
            content = os.pread(self.descriptor, BLOCK, block * BLOCK)
        except OSError as error:
            self._found(f"cannot be read: {error.strerror}")
            return False
        content = content[: self.length - block * BLOCK]  # whatever was added
        if zlib.crc32(content) != self.sums[block]:
            end = min(self.length, (block + 1) * BLOCK)
            self._found(
                f"is damaged: block {block} (bytes {block * BLOCK:,} to {end - 1:,}) is not as it "
                "was written"
            )
            return False
        return True

    def _found(self, what: str) -> None:
        """Notes what is wrong, and removes the file."""
        todo = "it has been removed: start again, and it is made anew"
        try:
            with suppress(FileNotFoundError):
                if os.path.samestat(self.path.stat(), os.fstat(self.descriptor)):
                    self.path.unlink()
        except OSError:
            todo = "remove it and start again: it is made anew then"
        self._fault = f"the file of images {self.path} {what}; {todo}"

    def _raise_fault(self) -> None:
        if self.fault:
            raise MlrunError(self.fault)


def times_of(state: os.stat_result) -> tuple[int, int]:
    """Returns when a file and what is known of it were last changed, in nanoseconds."""
    return state.st_mtime_ns, state.st_ctime_ns


def map_checked(path: Path, shape: tuple[int, ...], sums: Sequence[int]) -> Tensor:
    """Returns a file as a uint8 tensor of which only what is used is read; not to be written to.

    A run whose images are a part of it compares each block that it uses with its sum, beside the
    first epoch, and notices if the file is cut short or changed later; it fails then, and the file
    is removed, so that it can be made again.

    Args:
        path: of the file.
        shape: of the tensor, which has as many bytes as the file.
        sums: of the file's blocks, made while it was written; see `BlockSums`.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is shorter.
    """
    mapped = CheckedFile(path, sums, math.prod(shape)).map()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(np.frombuffer(mapped, np.uint8).reshape(shape))


def checked_file_of(images: Tensor) -> CheckedFile | None:
    """Returns the file that images are mapped from by `map_checked`; None for all others."""
    place = images.data_ptr() if images.device.type == "cpu" else 0
    for file in FILES:
        if file.address <= place < file.address + file.length:
            return file
    return None
