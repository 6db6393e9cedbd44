"""Settings as YAML 1.2: lines `name: value`, plain values only, within limits.

A file of settings may be anybody's, and people do not know how YAML 1.1 reads it. So a plain text
is a number only where Python would write that number just so: `010`, `1e-3`, `1_000` and `12:30`
stay texts, which the type of the setting then takes or refuses, and nothing of a text is lost.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from mlrun.errors import MlrunError, one_line
from mlrun.settings.values import PartRates

LARGEST = 2**20  # bytes of a file
DEEPEST = 20  # values within values
MOST = 10_000  # values, those behind an alias counted each time
TOO_MUCH = f"more than {MOST:,} values, or more than {DEEPEST} within each other"
WIDTH = 96  # characters, after which a line is broken
WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **{".inf": math.inf, "-.inf": -math.inf},
}
PLAIN_TAGS = tuple(f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map"))


def read_mapping(path: Path) -> dict[str, object]:
    """Returns the names and values in the file `path`.

    Raises:
        MlrunError: it cannot be read, is too large, or is no mapping of plain values in UTF-8.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise MlrunError(one_line(error)) from None
    if len(content) > LARGEST:
        raise MlrunError(f"it is larger than {LARGEST // 2**20} MiB, too large for settings")
    try:
        values = parse(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise MlrunError(f"it is no text in UTF-8 (byte {error.start + 1})") from None
    if not isinstance(values, dict):
        raise MlrunError("expected lines `name: value`, dotted names for options")
    return values


def parse(text: str) -> object:
    """Returns what a document of YAML holds: dicts, lists, texts, numbers, true, false and null.

    Raises:
        MlrunError: it is no YAML, or has a key twice, a tag, or more or deeper values than are
            allowed; the message names the line.
    """
    try:
        node = yaml.compose(text, Loader=Composer)
        return None if node is None else Values().of(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "
        raise MlrunError(place + ": ".join(filter(None, (error.context, error.problem)))) from None
    except yaml.reader.ReaderError as error:
        raise MlrunError(f"character {error.position + 1}: {error.reason}") from None


class Composer(yaml.BaseLoader):
    """Composes `MOST` values at most, `DEEPEST` deep; finds no types."""

    count = depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Returns the next value and what is in it."""
        self.count += 1
        self.depth += 1
        if self.count > MOST or self.depth > DEEPEST:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # PyYAML has no types
            raise fault(TOO_MUCH, mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class Values:
    """Plain values of composed ones, within the same limits, though an alias may hold itself."""

    def __init__(self) -> None:
        self.count = 0

    def of(self, node: yaml.Node, depth: int = 0) -> object:
        """Returns the value of a node."""
        self.count += 1
        if self.count > MOST or depth > DEEPEST:
            raise fault(TOO_MUCH, node.start_mark)
        if node.tag not in PLAIN_TAGS:
            raise fault(f"tag {node.tag}: settings are plain values, without tags", node.start_mark)
        if isinstance(node, yaml.SequenceNode):
            return [self.of(item, depth + 1) for item in node.value]
        if isinstance(node, yaml.MappingNode):
            return self.mapping_of(node, depth)
        assert isinstance(node, yaml.ScalarNode)
        return plain(node.value) if node.style is None else str(node.value)

    def mapping_of(self, node: yaml.MappingNode, depth: int) -> dict[str, object]:
        """Returns the names and values of a mapping."""
        lines: dict[str, int] = {}
        values: dict[str, object] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise fault("expected a name before the colon", key.start_mark)
            if key.value in lines:
                first = lines[key.value]
                raise fault(f"{key.value} is given twice, first in line {first}", key.start_mark)
            lines[key.value] = key.start_mark.line + 1
            values[key.value] = self.of(value, depth + 1)
        return values


def fault(problem: str, mark: Any) -> yaml.MarkedYAMLError:
    """Returns the error for what is wrong at a place."""
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def plain(text: str) -> object:
    """Returns the value of a text without quotes.

    >>> plain("16"), plain("0.5"), plain("010"), plain("no"), plain("false"), plain("~")
    (16, 0.5, '010', 'no', False, None)
    """
    if text in WORDS:
        return WORDS[text]
    for kind in (int, float) if text[-1].isdecimal() else ():  # not inf, nan
        with suppress(ValueError):
            number = kind(text)
            if str(number) in (text, text.replace(".0e", "e")):  # so PyYAML writes 1e-05
                return number
    return text


class Folded(str):
    """A text that YAML shows as a folded block."""

    __slots__ = ()


class Dumper(yaml.SafeDumper):
    """Writes what `parse` reads, and any reader of YAML; a list on one line."""


Dumper.add_representer(
    list, lambda dumper, items: dumper.represent_sequence("tag:yaml.org,2002:seq", items, True)
)
Dumper.add_representer(
    Folded, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style=">")
)


def as_yaml(values: Mapping[str, object]) -> str:
    """Returns plain values as lines `name: value`, YAML."""
    return yaml.dump(
        dict(values),
        Dumper=Dumper,
        width=WIDTH,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
    )


def plain_of(value: object) -> object:
    """Returns a setting's value as YAML can hold it."""
    if isinstance(value, PartRates):
        return dict(value.pairs)
    if isinstance(value, tuple):
        return [plain_of(item) for item in value]
    return str(value) if isinstance(value, Path) else value
