"""Writing a page to a file."""

from __future__ import annotations

from pathlib import Path

from mlrun.cli.terminal import echo
from mlrun.errors import MlrunError, encodable, one_line
from mlrun.seam.files import DENIED, NO_FILE, fault_of_file


def check_output(path: Path, *, force: bool) -> None:
    """Raises MlrunError where a page cannot be written, before it is made.

    Args:
        path: of the page.
        force: whether a file that is there may be written over.
    """
    fault = fault_of_file(path)
    if fault.startswith(NO_FILE):
        if not path.parent.is_dir():
            raise MlrunError(f"{path} cannot be written: there is no folder {path.parent}")
    elif fault not in ("", DENIED):
        raise MlrunError(f"{path} cannot be written: {fault}; give another --output")
    elif not force:
        raise MlrunError(f"{path} is there already; add --force, or give another --output")


def write_page(path: Path, page: str) -> None:
    """Writes a page and prints its path; raises MlrunError."""
    try:
        path.write_text(encodable(page), encoding="utf-8")
    except OSError as error:
        raise MlrunError(f"{path} cannot be written ({one_line(error)})") from None
    echo(str(path))
