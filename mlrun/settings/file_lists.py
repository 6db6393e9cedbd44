"""Lists of files: commas between paths, and within them."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator

from mlrun.seam.files import at_home
from mlrun.settings.values import names_of


def files_of(value: object) -> tuple[str, ...]:
    """Returns paths from a list or from text with commas; `none` and empty text are no paths.

    In text, a comma belongs to a path where there is a file of that name with it. Paths of a list,
    which may be that of somebody's run, are not looked for.

    Raises:
        ValueError: neither, or a path is there twice.
    """
    if isinstance(value, str) and value.strip().lower() not in ("", "none"):
        value = parted(value)
    names = names_of(value)  # or the error for what is neither, or there twice
    return tuple(value) if isinstance(value, list | tuple) else names


def parted(text: str) -> list[str]:
    """Returns the paths of a text, at each place the longest that is a file."""
    pieces, paths = text.split(","), []
    while pieces:
        ends = range(len(pieces), 0, -1)
        length = next((end for end in ends if is_file(",".join(pieces[:end]))), 1)
        path = ",".join(pieces[:length])
        paths.append(path if is_file(path) else path.strip())
        pieces = pieces[length:]
    return paths


def is_file(text: str) -> bool:
    """Whether there is a file at a path; its `~` stands for home."""
    try:
        return at_home(text).is_file()
    except (OSError, ValueError):  # too long, or with a NUL byte
        return False


Files = Annotated[tuple[str, ...], BeforeValidator(files_of)]
