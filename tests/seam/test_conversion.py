from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Optional

import pytest
from annotated_types import Ge, Gt, Interval, Le, Lt

from mlrun.seam.conversion import as_text, convert, type_text


@pytest.mark.parametrize(
    ("annotation", "given", "expected"),
    [
        (bool, "true", True),
        (bool, "No", False),
        (bool, False, False),
        (int, " 3", 3),
        (int, "-3", -3),
        (float, "1e-3", 0.001),
        (float, 2, 2.0),
        (float, "inf", float("inf")),
        (str, "a,b", "a,b"),
        (str, 18, "18"),
        (Literal["relu", "tanh"], "tanh", "tanh"),
        (Literal[1, 2], "2", 2),
        (int | None, "none", None),
        (int | None, "", None),
        (int | None, None, None),
        (int | None, "7", 7),
        (Optional[float], "7", 7.0),  # noqa: UP045  # both spellings are in use
        (str | None, "none", None),
        (tuple[int, ...], "16, 32", (16, 32)),
        (tuple[int, ...], [16, 32], (16, 32)),
        (tuple[int, ...], 16, (16,)),
        (tuple[int, ...], "", ()),
        (tuple[str, ...], "none", ()),
        (tuple[int, float], "1,2", (1, 2.0)),
        (tuple[str, ...] | None, "a,b", ("a", "b")),
        (Annotated[int, Ge(1)], "1", 1),
        (Annotated[int, Ge(1), Le(3)], 3, 3),
        (Annotated[float, Gt(0), Lt(1)], "0.5", 0.5),
        (Annotated[float, Gt(0)], "inf", math.inf),
        (Annotated[int, Ge(0)], "9" * 400, int("9" * 400)),
        (Annotated[int, Ge(1)] | None, "none", None),
        (Annotated[int, Ge(1)] | None, "2", 2),
        (tuple[Annotated[float, Gt(0)], ...], "1,2", (1.0, 2.0)),
        (tuple[Annotated[float, Gt(0)], ...], "", ()),
    ],
)
def test_text_and_values_are_converted(annotation: Any, given: object, expected: object) -> None:
    found = convert(annotation, given)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("annotation", "given", "message"),
    [
        (bool, "maybe", "expected true or false, got 'maybe'"),
        (bool, 1, "expected true or false, got '1'"),
        (int, "3.5", "expected a whole number, got '3.5'"),
        (int, True, "expected a whole number, got 'true'"),
        (float, "fast", "expected a number, got 'fast'"),
        (float, "nan", "expected a number, got 'nan'"),
        (str, True, "expected text, got 'true'"),
        (Literal["relu", "tanh"], "rely", "expected one of relu|tanh, got 'rely'"),
        (Literal[1], True, "expected one of 1, got 'true'"),
        (int | None, "x", r"expected int\|none, got 'x'"),
        (tuple[int, ...], "1,x", "expected a whole number, got 'x'"),
        (tuple[int, int], "1", r"expected 2 values \(int,int\), got 1"),
        (Annotated[int, Ge(1)], "0", "^expected a whole number of at least 1, got '0'$"),
        (Annotated[int, Ge(1)], "x", "^expected a whole number, got 'x'$"),
        (Annotated[int, Le(3)], 4, "^expected a whole number of at most 3, got '4'$"),
        (Annotated[float, Gt(0)], "0", "^expected a number above 0, got '0'$"),
        (Annotated[float, Lt(1)], 1, "^expected a number below 1, got '1'$"),
        (
            Annotated[float, Interval(gt=0, le=0.5)],
            "0.6",
            "^expected a number above 0 and of at most 0.5, got '0.6'$",
        ),
        (Annotated[float, Gt(0), Lt(math.inf)], "-1", "^expected a number above 0, got '-1'$"),
        (
            Annotated[float, Gt(0), Lt(math.inf)] | None,
            "inf",
            "^expected a number above 0 and below inf, got 'inf'$",
        ),
        (Annotated[float, Gt(0)], "nan", "^expected a number, got 'nan'$"),
        (Annotated[int, Ge(1)] | None, "0", "^expected a whole number of at least 1, got '0'$"),
        (Annotated[int, Ge(1)] | None, "x", r"^expected int≥1\|none, got 'x'$"),
        (tuple[Annotated[float, Gt(0)], ...], "1,0", "^expected a number above 0, got '0'$"),
        (tuple[Annotated[int, Ge(1)], int], "0,0", "^expected a whole number of at least 1, got"),
    ],
)
def test_a_wrong_value_says_what_was_expected_and_given(
    annotation: Any, given: object, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        convert(annotation, given)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [(bool, True), (int | None, None), (tuple[int, ...], (1, 2)), (float, 1e-05), (str, "x y")],
)
def test_what_is_written_as_text_is_read_back(annotation: Any, value: object) -> None:
    assert convert(annotation, as_text(value)) == value


def test_types_are_described_as_a_reader_would_write_them() -> None:
    assert type_text(tuple[int, ...] | None) == "int,…|none"
    assert type_text(Literal["a", "b"]) == "a|b"
    assert type_text(Annotated[int, Ge(1)] | None) == "int≥1|none"
    assert type_text(tuple[Annotated[float, Gt(0), Lt(math.inf)], ...]) == "float>0,…"
