"""The search space of a sweep: what is drawn for each trial, and where it applies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from mlrun.errors import MlrunError
from mlrun.seam.components import Component, Kind
from mlrun.seam.conversion import as_text
from mlrun.seam.registry import Registry
from mlrun.sweeps.specs import Choices, Range


class Condition(NamedTuple):
    """Another setting, and the values of it beside which a dimension means anything."""

    setting: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Dimension:
    """One setting or option that a sweep tries values of.

    name: canonical, dotted for an option. values: that are tried.
    condition: asked for only where it holds; None for always.
    """

    name: str
    values: Range | Choices
    condition: Condition | None = None

    def applies(self, drawn: Mapping[str, object]) -> bool:
        """Whether it is asked for, beside what was drawn already."""
        return self.condition is None or drawn.get(self.condition.setting) in self.condition.values

    def __str__(self) -> str:
        only = ""
        if self.condition is not None:
            only = f"  (where {self.condition.setting} is {' or '.join(self.condition.values)})"
        return f"{self.name}: {self.values}{only}"


Suggest = Callable[[Dimension], object]


@dataclass(frozen=True)
class Space:
    """All dimensions of a sweep, those that others depend on first."""

    dimensions: tuple[Dimension, ...]
    registry: Registry

    def components(self, name: str, kind: Kind) -> list[Component]:
        """Returns the components that a setting, which is searched, may name."""
        values = next(each.values for each in self.dimensions if each.name == name)
        return [self.registry.find(kind, as_text(text)) for text in values.ends]

    def draw(self, suggest: Suggest) -> dict[str, object]:
        """Returns a value, by `suggest`, for each dimension that applies beside the others."""
        drawn: dict[str, object] = {}
        for dimension in self.dimensions:
            if dimension.applies(drawn):
                drawn[dimension.name] = suggest(dimension)
        return drawn

    def grid(self) -> Iterator[dict[str, object]]:
        """Yields every point.

        Raises:
            MlrunError: a range has no step.
        """
        for dimension in self.dimensions:
            if dimension.values.points() is None:
                raise MlrunError(
                    f"sampler grid: {dimension.name} is a range without steps, or with too many; "
                    "give values with commas between, or LOW..HIGH:STEP"
                )
        yield from self._points({}, self.dimensions)

    def _points(
        self, drawn: dict[str, object], rest: tuple[Dimension, ...]
    ) -> Iterator[dict[str, object]]:
        if not rest:
            yield drawn
            return
        first, *others = rest
        values: Any = first.values.points() if first.applies(drawn) else None
        for point in [drawn] if values is None else [{**drawn, first.name: v} for v in values]:
            yield from self._points(point, tuple(others))

    def corners(self) -> Iterator[dict[str, object]]:
        """Yields points with the first, and with the last, value of each range and choice."""
        for end in (0, -1):
            yield self.draw(partial(end_of, end))


def end_of(place: int, dimension: Dimension) -> object:
    """Returns the first (0) or last (-1) of a dimension's values."""
    return dimension.values.ends[place]
