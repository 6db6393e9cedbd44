"""What a sweep tries for one setting, as text: `1e-4..1e-1`, `log:1e-4..1e-1`, `lenet,cnn`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from mlrun.seam.conversion import as_text, shown

EXPECTED = (
    "expected LOW..HIGH, LOW..HIGH:STEP or log:LOW..HIGH, or at least two values with commas "
    "between (one with a comma in it in quotes)"
)
MOST_POINTS = 10_000  # of one range in a grid

Number = int | float
Check = Callable[[object], object]


@dataclass(frozen=True)
class Range:
    """Numbers between two ends, both included; whole ones where the ends are.

    log: whether their logarithms are drawn evenly. step: between two of them; None for any.
    """

    low: Number
    high: Number
    log: bool = False
    step: Number | None = None

    @property
    def whole(self) -> bool:
        """Whether the numbers are whole."""
        return isinstance(self.low, int)

    @property
    def ends(self) -> tuple[object, ...]:
        """The lowest and the highest number."""
        return self.low, self.high

    def points(self) -> tuple[object, ...] | None:
        """Returns the numbers for a grid; None where there are too many."""
        step = self.step or (1 if self.whole and not self.log else None)
        if step is None:
            return None
        count = math.floor((self.high - self.low) / step + 1e-9) + 1
        if count > MOST_POINTS:
            return None
        if self.whole:
            return tuple(self.low + place * step for place in range(count))
        return tuple(float(f"{self.low + place * step:.12g}") for place in range(count))

    def __str__(self) -> str:
        kind = "whole numbers" if self.whole else "numbers"
        step = "" if self.step is None else f" in steps of {self.step:g}"
        return f"{kind} {self.low:g} to {self.high:g}{step}{', logarithmic' if self.log else ''}"


@dataclass(frozen=True)
class Choices:
    """Values of which one is taken, as the texts that settings are given as."""

    texts: tuple[str, ...]

    @property
    def ends(self) -> tuple[object, ...]:
        """All of them."""
        return self.texts

    def points(self) -> tuple[object, ...] | None:
        """Returns all of them, for a grid."""
        return self.texts

    def __str__(self) -> str:
        return f"one of {', '.join(self.texts)}"


def parse(spec: object, kind: type | None, check: Check) -> Range | Choices:
    """Returns what a specification names: a text, or a list of values from a recipe.

    Args:
        spec: as it was given.
        kind: int or float where the setting is a number, else None.
        check: converts a value as the setting does, or raises ValueError.

    Raises:
        ValueError: it is none, or the setting does not take one of its values or ends.
    """
    if isinstance(spec, list | tuple):
        return choices_of(tuple(as_text(item) for item in spec), spec, check)
    text = as_text(spec).strip()
    match = re.fullmatch(r"(log:)?([^:]*?)\.\.([^:]*?)(?::([^:]*))?", text)
    numeric = match is not None and is_number(match[2]) and is_number(match[3])
    if match is None or (kind is None and not numeric):
        if text.startswith("log:") or (kind is not None and ".." in text):
            raise ValueError(f"{EXPECTED}, got {shown(text)!r}")
        return choices_of(split(text), text, check)
    if kind is None:
        raise ValueError(f"it takes no range, but values with commas between; got {shown(text)!r}")
    return range_of(match, kind, check)


def range_of(match: re.Match[str], kind: type, check: Check) -> Range:
    """Returns the range of a text that has the form of one; raises ValueError."""
    given, log = match[0], match[1] is not None
    if not match[2].strip() or not match[3].strip():
        raise ValueError(f"{EXPECTED}, got {shown(given)!r}")
    low, high = number(check, match[2], kind), number(check, match[3], kind)
    if not low < high:
        raise ValueError(f"expected the lower end first, got {shown(given)!r}")
    if log and low <= 0:
        raise ValueError(f"a logarithmic range begins above 0, got {shown(given)!r}")
    if match[4] is None:
        return Range(low, high, log)
    step = plain_number(match[4], kind)
    if log or not 0 < step <= high - low:
        raise ValueError(
            f"expected a step above 0, within a range that is not log:, got {shown(given)!r}"
        )
    return Range(low, last_point(low, high, step), log, step)


def last_point(low: Number, high: Number, step: Number) -> Number:
    """Returns the highest number that so many steps from `low` lead to, `high` at most."""
    count = math.floor((high - low) / step + 1e-9)
    return low + count * step if isinstance(low, int) else float(f"{low + count * step:.12g}")


def number(check: Check, text: str, kind: type) -> Number:
    """Returns one end of a range, which the setting takes."""
    value = check(text)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError(f"expected numbers at both ends, got {shown(text)!r}")
    return int(value) if kind is int else float(value)


def plain_number(text: str, kind: type) -> Number:
    """Returns a number that no setting has to take; raises ValueError."""
    try:
        value: Number = int(text) if kind is int else float(text)
    except ValueError:
        value = math.nan
    if math.isfinite(value):
        return value
    raise ValueError(f"expected a step that is a number, got {shown(text)!r}")


def is_number(text: str) -> bool:
    """Whether a text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def choices_of(texts: tuple[str, ...], spec: object, check: Check) -> Choices:
    """Returns the choices, each of which the setting takes; raises ValueError."""
    if len(texts) < 2 or not all(text.strip() for text in texts):
        raise ValueError(f"{EXPECTED}, got {shown(spec)!r}")
    values = [check(text) for text in texts]
    if any(value in values[:place] for place, value in enumerate(values)):
        raise ValueError(f"expected different values, got {shown(spec)!r}")
    return Choices(texts)


def split(text: str) -> tuple[str, ...]:
    """Returns the values of a text with commas between, those in quotes whole.

    >>> split("lenet, cnn"), split("'20,20',50")
    (('lenet', 'cnn'), ('20,20', '50'))
    """
    values, rest = [], text
    while True:
        match = re.match(r"""\s*(?:"([^"]*)"|'([^']*)'|([^,"']*))\s*(,|$)""", rest)
        if match is None:
            raise ValueError(f"{EXPECTED}, got {shown(text)!r}")
        values.append(next((part for part in match.groups()[:3] if part is not None), "").strip())
        if not match[4]:
            return tuple(values)
        rest = rest[match.end() :]
