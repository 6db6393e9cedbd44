"""The state of a training on disk: the last one, and the one before it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mlrun.errors import MlrunError, one_line
from mlrun.training.checkpoint_files import BEFORE, LAST, NEXT, STATES
from mlrun.training.checkpoints import write
from mlrun.training.plain_files import read_plain


class SavedStates:
    """Writes states of a training into the folder of its run.

    A new one lies beside the others until it is confirmed; then it is `last.pt`, and that becomes
    `previous.pt`. After a crash at any time one of the two is there, whole.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, content: Mapping[str, Any]) -> None:
        """Writes a state, of tensors and plain values, behind its digest.

        Raises:
            OSError: it cannot be written.
        """
        plain = on_cpu(content)
        write(self._folder / NEXT, {**plain, "sha256": content_digest(plain)})

    def confirm(self) -> None:
        """Makes the state that was written the last one."""
        last = self._folder / LAST
        if last.exists():
            last.replace(self._folder / BEFORE)
        (self._folder / NEXT).replace(last)


def last_state(
    folder: Path,
    damaged: Callable[[str], None],
    read: Callable[[Path], dict[str, Any]] | None = None,
) -> dict[str, Any] | None:
    """Returns the last state in a folder that is as it was written, or None where there is none.

    Args:
        folder: of the run.
        damaged: called with a line about each file that is not.
        read: reads a file, or raises MlrunError; by default `read_state`.
    """
    for name in STATES:
        path = folder / name
        if not path.exists():
            continue
        try:
            return (read or read_state)(path)
        except MlrunError as error:
            damaged(str(error))
    return None


def read_state(path: Path) -> dict[str, Any]:
    """Returns the state that was written to `path`, on the CPU; nothing is unpickled but data.

    Raises:
        MlrunError: it is not as it was written, or of an older version, which kept no digest.
    """
    try:
        content = read_plain(path)
        written = content.pop("sha256", None)
        actual = content_digest(content) if written is not None else None
    except Exception as error:  # what torch raises for a damaged file, of many kinds
        raise MlrunError(f"the state {path} is damaged ({one_line(error)})") from None
    if written is None:
        raise MlrunError(f"the state {path} is of a version of mlrun that could not resume")
    if actual != written:
        raise MlrunError(f"the state {path} is damaged (its SHA-256 is another)")
    return content


def on_cpu(value: Any) -> Any:
    """Returns a value with the tensors in it on the CPU; those that are there are not copied.

    But a part of a larger tensor is: torch would save all of that.
    """
    if isinstance(value, Tensor):
        own = value.detach().cpu()
        return own.clone() if own.untyped_storage().nbytes() > own.nbytes else own
    if isinstance(value, Mapping):
        return {key: on_cpu(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(on_cpu, value))
    return value


def content_digest(content: object) -> str:
    """Returns the SHA-256 of tensors and plain values, in the order in which they are held."""
    sha = hashlib.sha256()
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Tensor):
            sha.update(f"{value.dtype} {tuple(value.shape)}\n".encode())
            if value.numel():
                sha.update(value.contiguous().flatten().view(torch.uint8).numpy().tobytes())
        elif isinstance(value, Mapping):
            sha.update(f"{list(value)!r}\n".encode())
            waiting += value.values()
        elif isinstance(value, list | tuple):
            sha.update(f"{len(value)} items\n".encode())
            waiting += value
        else:
            sha.update(f"{value!r}\n".encode(errors="backslashreplace"))
    return sha.hexdigest()
