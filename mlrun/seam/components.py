"""Components: the functions that plugins register, checked when they are registered."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Literal

from mlrun.errors import MlrunError
from mlrun.seam.options import Option

Kind = Literal["model", "dataset", "visualiser"]
When = Literal["epoch", "end"]
TIMES: tuple[When, ...] = ("epoch", "end")
KINDS: tuple[Kind, ...] = ("model", "dataset", "visualiser")
POSITIONAL: dict[Kind, tuple[str, ...]] = {
    "model": ("shape", "classes"),
    "dataset": ("root",),
    "visualiser": ("view",),
}


class NoComponent(MlrunError):
    """There is no component of that kind and name."""

    def __init__(self, message: str, kind: Kind) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class Component:
    """One model, data set or visualiser, and where it comes from.

    when: the times at which a visualiser is called.
    needs: modules without which it cannot be used, and what pip must install to have each.
    """

    kind: Kind
    name: str
    plugin: str
    distribution: str
    version: str
    function: Callable[..., Any]
    options: tuple[Option, ...]
    when: tuple[When, ...] = ("end",)
    needs: Mapping[str, str] = field(default_factory=dict)

    @property
    def qualified(self) -> str:
        """The unambiguous name: `plugin/name`."""
        return f"{self.plugin}/{self.name}"

    @property
    def origin(self) -> str:
        """The plugin and its distribution: `mlrun-models (mlrun-vision 0.1.0)`."""
        return f"{self.plugin} ({self.distribution} {self.version})"

    @property
    def missing(self) -> dict[str, str]:
        """Those of `needs` that are not installed."""
        return {name: how for name, how in self.needs.items() if find_spec(name) is None}

    @property
    def documentation(self) -> str:
        """The docstring of the function, cleaned; empty without one."""
        return inspect.getdoc(self.function) or ""

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return self.documentation.partition("\n")[0]


def check_needs(component: Component) -> None:
    """Raises MlrunError where something that `component` needs is not installed."""
    for module, how in component.missing.items():
        raise MlrunError(
            f"{component.kind} {component.name} needs {module}, which is not installed; "
            f"pip install '{how}'"
        )


def times(when: When | Sequence[When]) -> tuple[When, ...]:
    """Returns the times at which a visualiser is called, in a run's order; raises MlrunError."""
    moments = (when,) if isinstance(when, str) else tuple(when)
    if not moments or not set(moments) <= set(TIMES):
        raise MlrunError(f"when={when!r} for a visualiser; expected 'end', 'epoch' or both")
    return tuple(time for time in TIMES if time in moments)


def component_name(function: Callable[..., Any], name: str | None) -> str:
    """Returns the component's name: the one given, or the function's with `-` for `_`."""
    if not callable(function):
        raise MlrunError(f"it registers {function!r}, which is not a function")
    label = str(name or getattr(function, "__name__", "")).replace("_", "-")
    if not re.fullmatch(r"[a-z][a-z0-9-]*", label):
        raise MlrunError(
            f"{label or repr(function)} cannot be a component's name "
            "(small letters, digits and -); use register(…, name='…')"
        )
    if label in ("model", "dataset", "none"):
        raise MlrunError(f"{label} is a reserved name; use register(…, name='…')")
    return label


def registers_decoder(module: ModuleType) -> bool:
    """Whether a module, or one below it, has registered a decoder of its own with Pillow."""
    pillow = sys.modules.get("PIL.Image")
    openers = [] if pillow is None else [opener for opener, _ in pillow.OPEN.values()]
    places = [str(getattr(opener, "__module__", "")) for opener in openers]
    return any(f"{place}.".startswith(f"{module.__name__}.") for place in places)


def check_call(signature: inspect.Signature, kind: Kind, label: str) -> None:
    """Raises MlrunError unless a function takes the arguments that the core passes by position."""
    expected = POSITIONAL[kind]
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [p.name for p in signature.parameters.values() if p.kind in kinds]
    if len(names) != len(expected):
        raise MlrunError(
            f"{kind} {label} takes ({', '.join(names)}) by position; expected "
            f"({', '.join(expected)}), options after a *"
        )
