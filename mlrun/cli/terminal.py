"""Text for a terminal or a spreadsheet, whoever wrote it: nothing in it is taken for a command."""

from __future__ import annotations

import json
import re
from typing import Any

import click

from mlrun.errors import escape

COMMANDS = re.compile(
    "["
    "\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f"  # control characters, but for tab and newline
    "\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069"  # what ends a line or turns its direction around
    "\\ud800-\\udfff"  # halves of characters, as the name of a file may have them
    "]"
)
WHITE = str.maketrans({"\n": r"\n", "\t": r"\t"})
FORMULA = re.compile(r"[=@\t\r]|[+-](?![\d.,\s]*$)", re.ASCII)


def echo(text: object, *, err: bool = False, nl: bool = True) -> None:
    """Prints text, in which control characters are shown and do nothing."""
    click.echo(printable(str(text)), err=err, nl=nl)


def printable(text: str) -> str:
    r"""Returns text with its control characters escaped, but for tabs and newlines.

    >>> printable("a\x1b[2Jb\u202ec\udcff")
    'a\\x1b[2Jb\\u202ec\\xff'
    """
    return COMMANDS.sub(lambda match: escape(match[0]), text)


def one_cell(text: str) -> str:
    r"""Returns text as a cell of a table, on one line, with all its control characters escaped.

    >>> one_cell("a\nb\tc")
    'a\\nb\\tc'
    """
    return printable(text).translate(WHITE)


def as_json(value: Any, **options: Any) -> str:
    r"""Returns JSON that a terminal shows as it is, and that means `value`.

    >>> as_json("é\x9b\u202e")
    '"é\\u009b\\u202e"'
    """
    text = json.dumps(value, ensure_ascii=False, **options)
    return COMMANDS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def in_spreadsheet(text: str) -> str:
    """Returns text as a cell that no spreadsheet takes for a formula: with ' before it, if need be.

    Numbers stay as they are, and so does a sign alone.

    >>> [in_spreadsheet(text) for text in ("=1+1", "-2+3", "@x", "-2.5", "+", "cat")]
    ["'=1+1", "'-2+3", "'@x", '-2.5', '+', 'cat']
    """
    text = printable(text)
    return f"'{text}" if FORMULA.match(text) else text
