"""The bounds of a number, as its annotation has them: read, checked, and written."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from annotated_types import BaseMetadata, Ge, GroupedMetadata, Gt, Le, Lt


class OutOfBounds(ValueError):
    """A number of the right type beyond a bound of its option."""


@dataclass(frozen=True)
class Relation:
    """A kind of bound: its comparison of value and limit, its sign, its words."""

    holds: Callable[[Any, Any], bool]
    sign: str
    words: str


RELATIONS = {
    Ge: Relation(operator.ge, "≥", "of at least"),
    Gt: Relation(operator.gt, ">", "above"),
    Le: Relation(operator.le, "≤", "of at most"),
    Lt: Relation(operator.lt, "<", "below"),
}


@dataclass(frozen=True)
class Bound:
    """One bound: a relation and its limit."""

    relation: Relation
    limit: float

    @property
    def infinite(self) -> bool:
        """Whether it excludes only infinity."""
        return math.isinf(self.limit)


def bounds_of(metadata: Iterable[object]) -> tuple[Bound, ...]:
    """Returns the bounds in the metadata of an `Annotated`, those of an `Interval` one by one.

    Raises:
        TypeError: a constraint of `annotated_types` that is none of Ge, Gt, Le and Lt.
    """
    bounds: list[Bound] = []
    for item in metadata:
        if isinstance(item, GroupedMetadata):
            bounds.extend(bounds_of(item))
        elif isinstance(item, Ge | Gt | Le | Lt):
            bounds.append(Bound(RELATIONS[type(item)], getattr(item, type(item).__name__.lower())))
        elif isinstance(item, BaseMetadata):
            raise TypeError(f"{item!r} is no bound of an option; they are Ge, Gt, Le and Lt")
    return tuple(bounds)


def check_within(expected: str, bounds: Sequence[Bound], number: float, text: str) -> None:
    """Raises OutOfBounds unless `number` is within all `bounds`.

    Args:
        expected: the type in words: `a whole number`.
        bounds: of the option.
        number: the value, converted.
        text: the value before conversion.
    """
    if all(bound.relation.holds(number, bound.limit) for bound in bounds):
        return
    relevant = [bound for bound in bounds if not bound.infinite or abs(number) == math.inf]
    words = " and ".join(f"{bound.relation.words} {bound.limit:.12g}" for bound in relevant)
    raise OutOfBounds(f"expected {expected} {words}, got {text!r}")


def bounds_text(bounds: Sequence[Bound]) -> str:
    """Returns the bounds as they stand after a type: `≥1`, `>0`, `≥0≤180`."""
    return "".join(f"{b.relation.sign}{b.limit:.12g}" for b in bounds if not b.infinite)
