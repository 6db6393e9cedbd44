"""From specifications to a search space, each dimension typed and checked by its setting."""

from __future__ import annotations

import itertools
import types
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple

from pydantic import ValidationError

from mlrun.errors import MlrunError, unknown
from mlrun.seam.components import Component
from mlrun.seam.conversion import as_text
from mlrun.seam.files import at_home
from mlrun.seam.registry import Registry, discover
from mlrun.settings import Settings
from mlrun.settings.file_lists import files_of
from mlrun.settings.names import by_canonical_name, canonical
from mlrun.settings.run import RECALLED, component_settings, setting_traits
from mlrun.settings.values import explain_one, names_of
from mlrun.sweeps.space import Condition, Dimension, Space
from mlrun.sweeps.specs import Choices, parse

FIXED = {  # settings that all trials of a sweep share, and why
    "monitor": "trials are compared by it",
    "experiment": "all trials lie in one",
    "plugin": "it decides what can be searched",
    "processes": "a trial is trained by one process",
    "run_name": "it changes nothing of the training",
    "tags": "they change nothing of the training",
}


class Subject(NamedTuple):
    """What a dimension is of.

    kind: int or float of a number, else None. check: converts a value or raises ValueError.
    """

    kind: type | None
    check: Callable[[object], object]
    condition: Condition | None


def space_of(search: Mapping[str, object], fixed: Mapping[str, object]) -> Space:
    """Returns the space that names and specifications stand for.

    Args:
        search: specifications by name, as on the command line or in a recipe.
        fixed: names and values of the settings that are not searched, or that are searched over.

    Raises:
        MlrunError: a name is unknown, a specification wrong, or a value not taken, on one line.
    """
    if not search:
        raise MlrunError("there is nothing to search; give --search NAME=SPEC, such as lr=0.1,0.01")
    specs, values = by_canonical_name(search), by_canonical_name(fixed)
    builder = Builder(specs, values)
    dimensions = [builder.dimension(name) for name in specs]
    places = {dimension.name: place for place, dimension in enumerate(dimensions)}
    ordered = sorted(dimensions, key=lambda each: (each.condition is not None, places[each.name]))
    return Space(tuple(ordered), builder.registry)


class Builder:
    """Makes dimensions of specifications; `fixed` are settings that are the same in all trials."""

    def __init__(self, specs: Mapping[str, object], fixed: Mapping[str, object]) -> None:
        self.specs, self.fixed = specs, fixed
        try:
            files = files_of(fixed.get("plugin", ()))
        except ValueError:
            files = ()  # which the settings will say
        self.registry: Registry = discover([at_home(path) for path in files])

    def dimension(self, name: str) -> Dimension:
        """Returns the dimension of that name; raises MlrunError."""
        shown = f"search {name}"
        if name in FIXED:
            raise MlrunError(f"{shown}: it is the same in all trials ({FIXED[name]}); set --{name}")
        subject = self.option(name) if "." in name else self.setting(name)
        try:
            values = parse(self.specs[name], subject.kind, subject.check)
        except ValueError as error:
            raise MlrunError(f"{shown}: {error}") from None
        return Dimension(name, values, subject.condition)

    def setting(self, name: str) -> Subject:
        """Returns what a setting is."""
        if name not in setting_traits():
            options = [each for each in self.all_options() if each.endswith(f".{name}")]
            raise unknown("setting to search:", name, [*setting_traits(), *options])
        traits = setting_traits()[name]
        condition = None
        if traits.option_of is not None:
            condition = self.condition(name, traits.option_of.setting, traits.option_of.values)
        kind = number_kind(Settings.model_fields[name].annotation)
        return Subject(kind, lambda value: self.checked(name, value), condition)

    def checked(self, name: str, value: object) -> object:
        """Returns a setting's value, converted by the setting; raises ValueError."""
        kind = component_settings().get(name)
        if kind is not None and kind != "visualiser":
            return self.registry.find(kind, as_text(value)).qualified
        try:
            settings = Settings.model_validate({name: value}, context=RECALLED)
        except ValidationError as error:
            reason = explain_one(error.errors()[0])
            raise ValueError(reason.removeprefix(f"{name}: ")) from None
        return getattr(settings, name)

    def condition(self, name: str, other: str, values: tuple[str, ...]) -> Condition | None:
        """Returns the condition that `other` has one of `values`; raises MlrunError if it never."""
        possible = self.possible(other)
        met = tuple(value for value in possible if value in values)
        if not met:
            raise MlrunError(
                f"search {name}: it is an option of {other} {' and '.join(values)}, not of "
                f"{' or '.join(possible)}"
            )
        return None if len(met) == len(possible) else Condition(other, met)

    def possible(self, name: str) -> tuple[str, ...]:
        """Returns the texts that a setting may have, fixed or searched."""
        if name not in self.specs:
            return (as_text(self.fixed.get(name, Settings.model_fields[name].default)),)
        dimension = self.dimension(name)
        assert isinstance(dimension.values, Choices)
        return dimension.values.texts

    def option(self, name: str) -> Subject:
        """Returns what an option of a component is."""
        prefix, _, option_name = name.partition(".")
        components = self.components().get(prefix)
        if components is None:
            error = unknown("component of this sweep", prefix, self.components())
            raise MlrunError(f"search {name}: {error}")
        having = {
            text: {option.name: option for option in component.options}
            for text, component in components.items()
        }
        owners = {text: each[option_name] for text, each in having.items() if option_name in each}
        if not owners:
            names = sorted({each for options in having.values() for each in options})
            kind = next(iter(components.values())).kind
            whose = f"option of {kind} {' or '.join(components)}:"
            raise MlrunError(f"search {name}: {unknown(whose, option_name, names)}")
        condition = Condition(prefix, tuple(owners)) if len(owners) < len(components) else None

        def check(value: object) -> object:
            converted: object = None
            for text, option in owners.items():
                try:
                    converted = option.convert(value)
                except ValueError as error:
                    whose = f", of {text}" if len(components) > 1 else ""
                    raise ValueError(f"{error}{whose}") from None
            return converted

        return Subject(number_kind(next(iter(owners.values())).annotation), check, condition)

    def components(self) -> dict[str, dict[str, Component]]:
        """Returns, by prefix of options, the components that trials may have, by their texts."""
        found = {
            name: {text: self.registry.find(kind, text) for text in self.possible(name)}
            for name, kind in component_settings().items()
            if kind != "visualiser"
        }
        default = Settings.model_fields["visualisers"].default
        try:
            drawing = names_of(self.fixed.get("visualisers", default))
        except ValueError:
            drawing = ()
        for text in drawing:
            found[canonical(text)] = {text: self.registry.find("visualiser", text)}
        return found

    def all_options(self) -> list[str]:
        """Returns the dotted names of all options, for who misspelt one."""
        return [
            f"{prefix}.{option.name}"
            for prefix, components in self.components().items()
            for option in itertools.chain.from_iterable(c.options for c in components.values())
        ]


def number_kind(annotation: Any) -> type | None:
    """Returns int or float where values of that annotation can be such numbers, else None."""
    if annotation in (int, float):
        return typing.cast(type, annotation)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return number_kind(arguments[0])
    if origin in (typing.Union, types.UnionType):
        kinds = [kind for kind in map(number_kind, arguments) if kind is not None]
        return float if float in kinds else (kinds[0] if kinds else None)
    return None
