"""Converts text and Python values to the type of an option, within its bounds, and types to text.

By hand: pydantic's adapters take True for 1 and nan for a number, know neither `none` nor commas,
and each of their messages would have to be put into other words.
"""

from __future__ import annotations

import math
import re
import types
import typing
from contextlib import suppress
from typing import Annotated, Any

from mlrun.seam.bounds import OutOfBounds, bounds_of, bounds_text, check_within

IN_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
TRUE = ("true", "yes", "on", "1")
FALSE = ("false", "no", "off", "0")
LARGEST = 2**63 - 1
NO_TEXT = "a text with NUL or half a character in it"
LONGEST_SHOWN = 60  # characters of a value in a message


def convert(annotation: Any, value: object) -> Any:
    """Returns `value`, text or a Python value, as `annotation`; raises ValueError."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        for choice in arguments:
            if (type(choice) is type(value) and choice == value) or as_text(choice) == value:
                return choice
        raise ValueError(f"expected one of {type_text(annotation)}, got {shown(value)!r}")
    if origin is tuple:
        return convert_tuple(annotation, arguments, value)
    if origin in (typing.Union, types.UnionType):
        return convert_union(annotation, arguments, value)
    if origin is Annotated:
        number: Any = convert_scalar(arguments[0], value)
        check_within(IN_WORDS[arguments[0]], bounds_of(arguments[1:]), number, shown(value))
        return number
    if annotation is types.NoneType:
        if value is None or (isinstance(value, str) and value.lower() in ("none", "null", "")):
            return None
        raise ValueError(f"expected none, got {shown(value)!r}")
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
            with suppress(ValueError):  # of more than 4,300 digits Python makes no number
                return int(value)
            raise OutOfBounds(f"expected a whole number of at most {LARGEST}, got {shown(value)!r}")
    elif annotation is float:
        try:
            number = float(value) if isinstance(value, int | float | str) else math.nan
        except ValueError:
            number = math.nan
        except OverflowError:
            number = math.inf
        if not math.isnan(number) and not isinstance(value, bool):
            return number
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        return as_text(value)
    raise ValueError(f"expected {IN_WORDS[annotation]}, got {shown(value)!r}")


def convert_union(annotation: Any, arguments: tuple[Any, ...], value: object) -> Any:
    """Returns `value` as the first of `arguments` that takes it; None before all else."""
    fault = ValueError(f"expected {type_text(annotation)}, got {shown(value)!r}")
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
        text = value.strip()
        items: list[object] = (
            [] if text.lower() in ("", "none") else [item.strip() for item in text.split(",")]
        )
    elif isinstance(value, list | tuple):
        items = list(value)
    else:
        items = [value]
    if arguments[-1] is Ellipsis:
        return tuple(convert(arguments[0], item) for item in items)
    if len(items) != len(arguments):
        raise ValueError(
            f"expected {len(arguments)} values ({type_text(annotation)}), got {len(items)}"
        )
    return tuple(convert(kind, item) for kind, item in zip(arguments, items, strict=True))


def type_text(annotation: Any) -> str:
    """Returns the type as text, with its bounds."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return "|".join(as_text(choice) for choice in arguments)
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return f"{type_text(arguments[0])},…"
        return ",".join(type_text(argument) for argument in arguments)
    if origin in (typing.Union, types.UnionType):
        return "|".join(type_text(argument) for argument in arguments)
    if origin is Annotated:
        return type_text(arguments[0]) + bounds_text(bounds_of(arguments[1:]))
    return "none" if annotation is types.NoneType else str(annotation.__name__)


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
    if isinstance(value, int) and value.bit_length() > 14_000:
        return hex(value)  # in decimals Python writes 4,300 digits at most
    return str(value)


def shown(value: object) -> str:
    """Returns a value as a message shows it: its text, at most 60 characters."""
    text = as_text(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"


def check_usable(value: object) -> None:
    """Raises OutOfBounds where a number, by itself or in a tuple, is infinite or has over 63 bits.

    No device and no store holds a larger whole number.
    """
    if isinstance(value, tuple):
        for item in value:
            check_usable(item)
    elif isinstance(value, int) and abs(value) > LARGEST:
        raise OutOfBounds(f"expected a whole number of at most {LARGEST}, got {shown(value)!r}")
    elif isinstance(value, float) and math.isinf(value):
        raise OutOfBounds(f"expected a finite number, got {shown(value)!r}")


def is_blank(value: object) -> bool:
    """Whether a value is a text without any character that can be seen."""
    return isinstance(value, str) and not value.strip()


def is_text(value: object) -> bool:
    """Whether every text in a value can be written: without NUL, and without halves of characters.

    Bytes of a file's name that are no UTF-8, as Python holds them, can.
    """
    if isinstance(value, list | tuple):
        return all(map(is_text, value))
    if isinstance(value, dict):
        return all(map(is_text, value.items()))
    try:
        return not isinstance(value, str) or b"\0" not in value.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return False
