"""Paths of a data set's files, and the errors where they are missing or broken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlrun import MlrunError
from mlrun.plugin import at_home, fault_of_file, one_line

AGAIN = "; if a download broke off, delete it and add --dataset.download true"


def missing_file(name: str, folder: Path) -> MlrunError:
    """Returns the error for a file of a data set that can be downloaded."""
    return MlrunError(
        f"no {name} in {folder}; put it there, name another folder with --data-dir, "
        "or add --dataset.download true"
    )


@contextmanager
def fetching(folder: Path) -> Iterator[None]:
    """Turns any error of a download, a wrong checksum too, into an MlrunError."""
    try:
        yield
    except Exception as error:
        raise MlrunError(f"cannot download into {folder}: {one_line(error)}") from error


@contextmanager
def reading(path: Path, advice: str = "") -> Iterator[None]:
    """Turns any error of a reader, of whatever class a broken file causes, into an MlrunError.

    A pipe, a socket, a device or a folder is refused unopened. `advice` ends the message.
    """
    if fault := fault_of_file(path):
        raise MlrunError(f"cannot read {path}: {fault}")
    try:
        yield
    except MlrunError:
        raise
    except Exception as error:
        raise MlrunError(f"cannot read {path}: {one_line(error)}{advice}") from error


def resolve_path(root: Path, text: str, option: str) -> Path:
    """Returns the path of the option `option`, whose `text` is absolute or below `root`.

    Raises:
        MlrunError: there is no such file or folder.
    """
    path: Path = root / at_home(text)
    fault = fault_of_file(path, folder=True)
    if not fault:
        return path
    if fault != "no such file or folder":
        raise MlrunError(f"--dataset.{option} {text}: cannot read {path}: {fault}")
    hint = "give its full path, or name the folder it is in with --data-dir"
    if not fault_of_file(Path(text), folder=True):
        hint = f"there is one in the working directory: give {Path(text).absolute()}"
    raise MlrunError(f"--dataset.{option} {text}: no {path}; {hint}")
