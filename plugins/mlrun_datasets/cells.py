"""Cells of tables, as messages show them."""

from __future__ import annotations

from collections.abc import Sequence


def is_text(text: str) -> bool:
    """Whether a text that was read with `surrogateescape` was UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(cell: str) -> str:
    """Returns the text of a cell for a message: printable, at most 40 characters."""
    text = cell.strip()
    if not text.isprintable():
        text = repr(cell.encode(errors="surrogateescape"))[2:-1]
    return (text if len(text) <= 40 else text[:39] + "…") or "nothing"


def first_names(names: Sequence[str]) -> str:
    """Returns the first names."""
    return ", ".join(map(shown, names[:5])) + (", …" if len(names) > 5 else "")
