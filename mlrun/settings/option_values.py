"""Components with a value for each of their options: grouped by component, checked, converted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlrun.errors import MlrunError, unknown
from mlrun.seam.components import Component
from mlrun.seam.conversion import as_text
from mlrun.settings.names import canonical

LONGEST_TITLE = 80  # characters


class WrongOption(MlrunError):
    """The value of one option is wrong; `option` is its name, without the prefix."""

    def __init__(self, message: str, option: str) -> None:
        super().__init__(message)
        self.option = option


@dataclass(frozen=True)
class ConfiguredComponent:
    """A component and the value of each of its options.

    prefix: what stands before the dot in the options' names: `model`, `dataset`, `weights`.
    """

    prefix: str
    component: Component
    options: dict[str, Any]

    @property
    def title(self) -> str:
        """The component's name and its options that are not the default, at most 80 characters."""
        defaults = {option.name: option.default for option in self.component.options}
        changes = (f"{n}={brief(v)}" for n, v in self.options.items() if v != defaults[n])
        return shorten(" ".join([self.component.name, *changes]), LONGEST_TITLE)


def prefix_of(name: str) -> str:
    """Returns what stands before the dot of a visualiser's options: its name as it was given."""
    return name.replace("_", "-")


def group_options(
    options: Mapping[str, Any], components: Mapping[str, Component]
) -> dict[str, dict[str, Any]]:
    """Returns the options by prefix.

    Raises:
        MlrunError: a prefix that is neither `model`, `dataset` nor a visualiser of this run.
    """
    prefixes = {canonical(prefix): prefix for prefix in components}
    groups: dict[str, dict[str, Any]] = {prefix: {} for prefix in components}
    for dotted, value in options.items():
        prefix, _, name = dotted.partition(".")
        if prefix not in prefixes:
            raise MlrunError(
                f"{dotted}: {unknown('component of this run', prefix, prefixes.values())}"
            )
        groups[prefixes[prefix]][name] = value
    return groups


def prefixed(prefix: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options under one prefix, without it."""
    start = f"{prefix}."
    return {name.removeprefix(start): v for name, v in options.items() if name.startswith(start)}


def resolve(component: Component, prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns each option of `component`: its value in `values`, converted, or its default."""
    names = [option.name for option in component.options]
    resolved = {}
    for name in values:
        if name not in names:
            error = unknown(f"option of {component.kind} {component.name}:", name, names)
            raise MlrunError(str(error))
    for option in component.options:
        if option.name in values:
            try:
                resolved[option.name] = option.convert(values[option.name])
            except ValueError as error:
                raise WrongOption(f"{prefix}.{option.name}: {error}", option.name) from None
        elif option.required:
            raise MlrunError(
                f"{component.kind} {component.name} needs --{prefix}.{option.name} "
                f"({option.type}): {option.help}".rstrip(": ")
            )
        else:
            resolved[option.name] = option.default
    return resolved


def brief(value: object) -> str:
    """Returns a value as a name shows it: `10` for 10.0."""
    return f"{value:g}" if isinstance(value, float) else as_text(value)


def shorten(text: str, longest: int) -> str:
    """Returns `text`, cut to `longest` characters."""
    return text if len(text) <= longest else text[: longest - 1] + "…"
