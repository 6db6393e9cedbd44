"""Bounds of an option's numbers, `Annotated[int, Ge(1)]`: which there are, held to, and told."""

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
    """What a kind of bound asks: a test of value and limit, its sign, its words."""

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
    """One bound: how a value must stand to a limit."""

    relation: Relation
    limit: float

    @property
    def infinite(self) -> bool:
        """Whether it only keeps infinity out."""
        return math.isinf(self.limit)


def bounds_of(metadata: Iterable[object]) -> tuple[Bound, ...]:
    """Returns the bounds in the metadata of an `Annotated`, those of an `Interval` one by one.

    Raises:
        TypeError: a constraint of `annotated_types` that is none of Ge, Gt, Le and Lt.
    """
    found: list[Bound] = []
    for item in metadata:
        if isinstance(item, GroupedMetadata):
            found.extend(bounds_of(item))
        elif isinstance(item, Ge | Gt | Le | Lt):
            found.append(Bound(RELATIONS[type(item)], getattr(item, type(item).__name__.lower())))
        elif isinstance(item, BaseMetadata):
            raise TypeError(f"{item!r} is no bound of an option; they are Ge, Gt, Le and Lt")
    return tuple(found)


def check_within(expected: str, bounds: Sequence[Bound], number: float, given: str) -> None:
    """Raises OutOfBounds unless `number` keeps all `bounds`.

    Args:
        expected: the type in words: `a whole number`.
        bounds: of the option.
        number: the value, converted.
        given: the value as it was given.
    """
    if all(bound.relation.holds(number, bound.limit) for bound in bounds):
        return
    told = [bound for bound in bounds if not bound.infinite or math.isinf(number)]
    words = " and ".join(f"{bound.relation.words} {bound.limit:.12g}" for bound in told)
    raise OutOfBounds(f"expected {expected} {words}, got {given!r}")


def signs(bounds: Sequence[Bound]) -> str:
    """Returns the bounds as they stand after a type: `≥1`, `>0`, `≥0≤180`."""
    return "".join(f"{b.relation.sign}{b.limit:.12g}" for b in bounds if not b.infinite)
