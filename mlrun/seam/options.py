"""Typed options of a component, read from the keyword-only parameters of its function."""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from mlrun.seam.bounds import bounds_of
from mlrun.seam.conversion import (
    NO_TEXT,
    check_usable,
    convert,
    is_blank,
    is_text,
    type_text,
)

REQUIRED = inspect.Parameter.empty
SCALARS = (bool, int, float, str)


@dataclass(frozen=True)
class Option:
    """One option of a component: its Python name, type, default and one line of help."""

    name: str
    annotation: Any
    default: Any
    help: str

    @property
    def required(self) -> bool:
        """Whether the component has no default for it."""
        return self.default is REQUIRED

    @property
    def type(self) -> str:
        """The type as text: `float`, `relu|tanh`, `int≥1|none`, `int,…`."""
        return type_text(self.annotation)

    def convert(self, value: object) -> Any:
        """Returns `value` (text or a Python value) as the option's type, or raises ValueError.

        An empty text, infinity and a whole number of more than 63 bits are taken only where they
        are the default: hardly anybody means them.
        """
        if is_blank(value) and value != self.default:
            raise ValueError(f"expected {self.type}, got an empty text")
        if not is_text(value):
            raise ValueError(f"expected {self.type}, got {NO_TEXT}")
        converted = convert(self.annotation, value)
        if self.required or converted != self.default:
            check_usable(converted)
        return converted


def options_of(
    function: Callable[..., Any], signature: inspect.Signature | None = None
) -> tuple[Option, ...]:
    """Returns the options that `function` declares, in their order.

    Args:
        function: of a component.
        signature: of the function, if the caller has it already.

    Raises:
        TypeError: a parameter's annotation is missing or of a kind that text cannot give.
    """
    helps = help_of_parameters(inspect.getdoc(function) or "")
    options = []
    for parameter in (signature or inspect.signature(function)).parameters.values():
        if parameter.kind is not parameter.KEYWORD_ONLY:
            continue
        annotation = annotation_of(parameter, function)
        check_annotation(parameter.name, annotation)
        if parameter.default is not REQUIRED:
            try:
                convert(annotation, parameter.default)
            except ValueError as error:
                raise TypeError(f"option {parameter.name}: its default: {error}") from error
        options.append(
            Option(
                parameter.name,
                annotation,
                parameter.default,
                helps.get(parameter.name, ""),
            )
        )
    return tuple(options)


def annotation_of(parameter: inspect.Parameter, function: Callable[..., Any]) -> Any:
    """Returns the parameter's type: its annotation, or else the type of its default."""
    annotation = parameter.annotation
    if isinstance(annotation, str):
        holder = types.SimpleNamespace(__annotations__={parameter.name: annotation})
        scope = {**vars(typing), **getattr(inspect.unwrap(function), "__globals__", {})}
        try:
            return typing.get_type_hints(holder, globalns=scope, include_extras=True)[
                parameter.name
            ]
        except (NameError, SyntaxError) as error:
            raise TypeError(f"option {parameter.name}: annotation {annotation}: {error}") from error
    if annotation is not REQUIRED:
        return annotation
    if parameter.default is REQUIRED or parameter.default is None:
        raise TypeError(
            f"option {parameter.name} needs an annotation or a default that is not None"
        )
    if isinstance(parameter.default, tuple):
        item = type(parameter.default[0]) if parameter.default else str
        return tuple[item, ...]  # type: ignore[valid-type]  # a type made at run time
    return type(parameter.default)


def check_annotation(name: str, annotation: Any) -> None:
    """Raises TypeError unless `annotation` is a type that options may have."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in SCALARS or annotation is types.NoneType or origin is typing.Literal:
        return
    if origin in (typing.Union, types.UnionType, tuple) and arguments:
        for argument in arguments:
            if argument is not Ellipsis:
                check_annotation(name, argument)
        return
    if origin is Annotated and arguments[0] in (int, float):
        try:
            bounds_of(arguments[1:])
        except TypeError as error:
            raise TypeError(f"option {name}: {error}") from None
        return
    raise TypeError(
        f"option {name} is annotated {annotation!r}; options are bool, int, float, str, "
        "Literal, these or None, tuples of them, and Annotated[int or float, Ge(…)]"
    )


def help_of_parameters(documentation: str) -> dict[str, str]:
    """Returns the text of each parameter in a docstring's `Args:` section, on one line."""
    section = re.search(
        r"^(?:Args|Options|Arguments):\n((?:[ \t]+.*\n?|\n)+)", documentation, re.MULTILINE
    )
    helps: dict[str, str] = {}
    if section is None:
        return helps
    lines = section[1].splitlines()
    indents = [len(line) - len(line.lstrip()) for line in lines if line.strip()]
    current = ""
    for line in lines:
        entry = re.match(r"\s+(\w+)(?: \([^)]*\))?:\s*(.*)", line)
        if entry and len(line) - len(line.lstrip()) == min(indents):
            current = entry[1]
            helps[current] = entry[2].strip()
        elif current and line.strip():
            helps[current] = f"{helps[current]} {line.strip()}".strip()
    return helps
