"""Files of tensors and plain values, whoever wrote them: read within bounds, nothing unpickled."""

from __future__ import annotations

import zipfile
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from mlrun.errors import MlrunError

MOST_PLAIN = 2**24  # characters beside the tensors: class names, names of pictures


def read_plain(path: Path, *, mmap: bool = False) -> dict[str, Any]:
    """Returns the names and values in a file of `torch.save`, on the CPU.

    Args:
        path: of the file.
        mmap: leave the tensors in the file, which stays as it is as long as they are used.

    Raises:
        MlrunError: it is packed, holds no names, or much more than its size says.
        Exception: it is none of torch's files, or was cut short; of many kinds.
    """
    with zipfile.ZipFile(path) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise MlrunError("it is packed, which torch's files are not")  # and cannot be mapped
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except UnpicklingError:  # torch's own message advises to execute it
        raise MlrunError("it holds more than tensors and plain values, or is damaged") from None
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise MlrunError("it holds no values under names")
    check_size(content, path.stat().st_size)
    return content


def check_size(content: object, size: int) -> None:
    """Raises MlrunError where values hold much more than a file of `size` bytes says.

    One number may stand for a whole tensor, and one value in many places, and so a small file for
    more than any memory holds.
    """
    most = 16 * size + 2**20
    bytes_held = characters = 0
    waiting: list[Any] = [content]
    while waiting:
        item = waiting.pop()
        characters += 1 + (len(item) if isinstance(item, str | bytes) else 0)
        if isinstance(item, Tensor) and item.layout == torch.strided:
            bytes_held += item.nbytes
        waiting += [*item, *item.values()] if isinstance(item, dict) else ()
        waiting += item if isinstance(item, list | tuple) else ()
        if bytes_held > most:
            raise MlrunError(
                f"its tensors have {bytes_held:,} bytes, and the file a fraction of that"
            )
        if characters > MOST_PLAIN:
            raise MlrunError(f"it holds more than {MOST_PLAIN:,} characters beside the weights")
