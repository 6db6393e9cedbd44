"""Lists of files: commas between paths, and within them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator

from mlrun.settings.values import names_of


def files_of(value: object) -> tuple[str, ...]:
    """Returns paths from a list or from text with commas; `none` and empty text are no paths.

    A comma belongs to a path where there is a file of that name with it.

    Raises:
        ValueError: neither, or a path is there twice.
    """
    if isinstance(value, str) and value.strip().lower() not in ("", "none"):
        value = parted(value)
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        value = [item if is_file(item) else item.strip() for item in value]
        if len(set(value)) == len(value) and "" not in value:
            return tuple(value)
    return names_of(value)


def parted(text: str) -> list[str]:
    """Returns the paths of a text, at each place the longest that is a file."""
    pieces, paths = text.split(","), []
    while pieces:
        ends = range(len(pieces), 0, -1)
        length = next((end for end in ends if is_file(",".join(pieces[:end]))), 1)
        paths.append(",".join(pieces[:length]))
        pieces = pieces[length:]
    return paths


def is_file(text: str) -> bool:
    """Whether there is a file at a path; its `~` stands for home."""
    try:
        return Path(os.path.expanduser(text)).is_file()  # noqa: PTH111  # never raises
    except (OSError, ValueError):  # too long, or with a NUL byte
        return False


Files = Annotated[tuple[str, ...], BeforeValidator(files_of)]
