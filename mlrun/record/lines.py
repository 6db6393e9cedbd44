"""A file of checksummed lines, which is only ever added to."""

from __future__ import annotations

import json
import os
import threading
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlrun.seam.files import NO_FILE, fault_of_file

Record = dict[str, Any]


class Lines:
    """Records, plain JSON values, each on a line behind the CRC-32 of its text.

    What was added survives the death of the process at once, and that of the machine from the
    next `sync` on. A line that was cut or changed is told from a whole one when it is read.

    Args:
        path: the file; made if need be. Its folder is there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._size = os.fstat(self._file).st_size
        self._synced = self._size
        if self._size and os.pread(self._file, 1, self._size - 1) != b"\n":
            self._write(b"\n")  # behind a line that was cut, so that the next is whole
        self._count = sum(1 for _ in read_lines(path)) if self._size else 0

    def add(self, record: Record) -> int:
        """Adds a record and returns its number, from 0.

        Raises:
            OSError: it could not be written, and nothing of it is there.
        """
        text = json.dumps(record, separators=(",", ":")).encode()
        with self._lock:
            self._write(b"%08x %s\n" % (zlib.crc32(text), text))
            self._count += 1
            return self._count - 1

    def __len__(self) -> int:
        return self._count

    def sync(self) -> None:
        """Has the machine write to its disk what was added since the last time."""
        size, file = self._size, self._file
        if size > self._synced and file >= 0:
            os.fsync(file)
            self._synced = size

    def close(self) -> None:
        """Closes the file; what is added later is an error."""
        with self._lock:
            file, self._file = self._file, -1
        os.close(file)

    def _write(self, data: bytes) -> None:
        try:
            written = 0
            while written < len(data):
                written += os.write(self._file, data[written:])
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file, self._size)
            raise
        self._size += len(data)


def read_lines(path: Path, start: int = 0) -> Iterator[tuple[Record | None, int]]:
    """Yields each whole line from the byte `start` on, and the byte behind it.

    None stands for a line that is not as it was written. A last line without an end, which is
    being written or was cut, is left out.

    Raises:
        OSError: it cannot be read, or is a pipe or a device, which would be waited for.
    """
    fault = fault_of_file(path)
    if fault and fault != NO_FILE:
        raise OSError(f"{path}: {fault}")
    with path.open("rb") as file:
        file.seek(start)
        for line in file:
            if not line.endswith(b"\n"):
                return
            start += len(line)
            yield parse(line), start


def parse(line: bytes) -> Record | None:
    """Returns the record of a line, or None where the checksum is not that of the text."""
    checksum, _, text = line.rstrip(b"\n").partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    record = json.loads(text)
    return record if isinstance(record, dict) else None
