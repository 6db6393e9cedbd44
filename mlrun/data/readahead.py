"""Reading memory-mapped images from their file before they are used."""

from __future__ import annotations

import os
import weakref
from contextlib import suppress
from pathlib import Path

from torch import Tensor

MAPS = Path("/proc/self/maps")


class Readahead:
    """Asks the system to read rows of a mapped tensor from its file, and does not wait.

    A row that is not in memory is otherwise read when it is touched, page by page, with much
    around it that a shuffled epoch has no use for. Asked beforehand, the system reads the rows
    alone, and all at once.

    Args:
        path: of the file.
        start: the first row's place in it, in bytes.
        size: bytes of a row.
    """

    def __init__(self, path: Path, start: int, size: int) -> None:
        self.start, self.size = start, size
        self.file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self.file)

    def __call__(self, rows: Tensor) -> None:
        """Asks for these rows, int64 (n,)."""
        with suppress(OSError):  # it is only an advice
            for row in rows.tolist():
                place = self.start + row * self.size
                os.posix_fadvise(self.file, place, self.size, os.POSIX_FADV_WILLNEED)


def readahead_of(images: Tensor) -> Readahead | None:
    """Returns the reader of the file that `images` are mapped from; None where none is known.

    The file is looked up in Linux's table of mappings, so that it does not matter who mapped
    them, nor how.
    """
    size = images[0].numel() * images.element_size()
    if not images.is_contiguous() or images.device.type != "cpu" or not MAPS.exists():
        return None
    with suppress(OSError, ValueError):
        for line in MAPS.read_text().splitlines():
            addresses, _, rest = line.partition(" ")
            first, end = (int(part, 16) for part in addresses.split("-"))
            if first <= images.data_ptr() < end:
                _, offset, _, _, *path = rest.split(maxsplit=4)
                if not path or not Path(path[0]).is_file():  # memory, or a file that is gone
                    return None
                return Readahead(Path(path[0]), int(offset, 16) + images.data_ptr() - first, size)
    return None
