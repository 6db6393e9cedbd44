"""Typed options of a component, read from the keyword-only parameters of its function."""

from __future__ import annotations

import inspect
import math
import re
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from mlrun.seam.bounds import OutOfBounds, bounds_of, check_within, signs

REQUIRED = inspect.Parameter.empty
SCALARS = (bool, int, float, str)
NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
TRUE = ("true", "yes", "on", "1")
FALSE = ("false", "no", "off", "0")


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
        """The type as a reader would write it: `float`, `relu|tanh`, `int≥1|none`, `int,…`."""
        return describe(self.annotation)

    def convert(self, value: object) -> Any:
        """Returns `value` (text or a Python value) as the option's type, or raises ValueError."""
        return convert(self.annotation, value)


def options_of(
    function: Callable[..., Any], signature: inspect.Signature | None = None
) -> tuple[Option, ...]:
    """Returns the options that `function` declares, in their order.

    Args:
        function: of a component.
        signature: its signature, where it is known already.

    Raises:
        TypeError: a parameter's annotation is missing or of a kind that text cannot give.
    """
    documented = help_of_parameters(inspect.getdoc(function) or "")
    found = []
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
        found.append(
            Option(
                parameter.name,
                annotation,
                parameter.default,
                documented.get(parameter.name, ""),
            )
        )
    return tuple(found)


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


def describe(annotation: Any) -> str:
    """Returns the type as a reader would write it, with its bounds."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return "|".join(as_text(choice) for choice in arguments)
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return f"{describe(arguments[0])},…"
        return ",".join(describe(argument) for argument in arguments)
    if origin in (typing.Union, types.UnionType):
        return "|".join(describe(argument) for argument in arguments)
    if origin is Annotated:
        return describe(arguments[0]) + signs(bounds_of(arguments[1:]))
    return "none" if annotation is types.NoneType else str(annotation.__name__)


def convert(annotation: Any, value: object) -> Any:
    """Returns `value`, text or a Python value, as `annotation`; raises ValueError."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        for choice in arguments:
            if (type(choice) is type(value) and choice == value) or as_text(choice) == value:
                return choice
        raise ValueError(f"expected one of {describe(annotation)}, got {as_text(value)!r}")
    if origin is tuple:
        return convert_tuple(annotation, arguments, value)
    if origin in (typing.Union, types.UnionType):
        return convert_union(annotation, arguments, value)
    if origin is Annotated:
        number: Any = convert_scalar(arguments[0], value)
        check_within(NAMES[arguments[0]], bounds_of(arguments[1:]), number, as_text(value))
        return number
    if annotation is types.NoneType:
        if value is None or (isinstance(value, str) and value.lower() in ("none", "null", "")):
            return None
        raise ValueError(f"expected none, got {as_text(value)!r}")
    return convert_scalar(annotation, value)


def convert_scalar(annotation: type, value: object) -> bool | int | float | str:
    """Returns `value` as a bool, int, float or str."""
    if annotation is bool:
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in TRUE + FALSE:
            return value.lower() in TRUE
    elif annotation is int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d+\s*", value):
            return int(value)
    elif annotation is float:
        try:
            number = float(value) if isinstance(value, int | float | str) else math.nan
        except ValueError:
            number = math.nan
        if not math.isnan(number) and not isinstance(value, bool):
            return number
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    raise ValueError(f"expected {NAMES[annotation]}, got {as_text(value)!r}")


def convert_union(annotation: Any, arguments: tuple[Any, ...], value: object) -> Any:
    """Returns `value` as the first of `arguments` that takes it; None before all else."""
    fault = ValueError(f"expected {describe(annotation)}, got {as_text(value)!r}")
    for argument in sorted(arguments, key=lambda a: a is not types.NoneType):
        try:
            return convert(argument, value)
        except OutOfBounds as error:
            fault = error
        except ValueError:
            continue
    raise fault


def convert_tuple(annotation: Any, arguments: tuple[Any, ...], value: object) -> tuple[Any, ...]:
    """Returns text with commas, a sequence or a single value as a tuple."""
    if isinstance(value, str):
        given = value.strip()
        items: list[object] = (
            [] if given.lower() in ("", "none") else [item.strip() for item in given.split(",")]
        )
    elif isinstance(value, list | tuple):
        items = list(value)
    else:
        items = [value]
    if arguments[-1] is Ellipsis:
        return tuple(convert(arguments[0], item) for item in items)
    if len(items) != len(arguments):
        raise ValueError(
            f"expected {len(arguments)} values ({describe(annotation)}), got {len(items)}"
        )
    return tuple(convert(kind, item) for kind, item in zip(arguments, items, strict=True))


def as_text(value: object) -> str:
    """Returns the text that `convert` reads back as `value`.

    >>> as_text((1, 2)), as_text(True), as_text(None), as_text(1e-3)
    ('1,2', 'true', 'none', '0.001')
    """
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ",".join(as_text(item) for item in value)
    return str(value)


def help_of_parameters(documentation: str) -> dict[str, str]:
    """Returns what the `Args:` section of a docstring says of each parameter, on one line."""
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
