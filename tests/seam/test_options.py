from __future__ import annotations

from typing import Annotated, Literal

import pytest
from annotated_types import Ge, MultipleOf

from mlrun.seam.options import REQUIRED, help_of_parameters, options_of


def test_options_are_the_keyword_only_parameters_with_their_help() -> None:
    def build(shape, classes, *, width: int = 8, kind: Literal["a"] = "a", name, rate=0.5):
        """A model.

        Args:
            width: units of the layer,
                at least one.
            rate (float): a fraction.
        """

    build.__annotations__["name"] = str
    width, kind, name, rate = options_of(build)
    assert (width.name, width.type, width.default) == ("width", "int", 8)
    assert width.help == "units of the layer, at least one."
    assert (kind.type, kind.help) == ("a", "")
    assert name.required
    assert name.default is REQUIRED
    assert (rate.type, rate.help) == ("float", "a fraction.")


def test_a_return_annotation_that_cannot_be_resolved_does_no_harm() -> None:
    def build(shape: Unknown, classes, *, deep: bool = False) -> AlsoUnknown:  # type: ignore[no-untyped-def,name-defined]  # noqa: F821
        """A model."""

    assert [option.type for option in options_of(build)] == ["bool"]


def test_an_annotation_that_text_cannot_give_is_refused() -> None:
    def with_dict(*, table: dict[str, int] = {}) -> None: ...  # noqa: B006

    def without(*, thing=None) -> None: ...

    def misfit(*, width: int = "wide") -> None: ...

    def below(*, width: Annotated[int, Ge(1)] = 0) -> None: ...

    def even(*, width: Annotated[int, MultipleOf(2)] = 2) -> None: ...

    def long(*, name: Annotated[str, Ge(1)] = "a") -> None: ...

    with pytest.raises(TypeError, match="width: its default: expected a whole number of at least"):
        options_of(below)
    with pytest.raises(TypeError, match=r"option width: MultipleOf.* is no bound of an option"):
        options_of(even)
    with pytest.raises(TypeError, match="option name is annotated"):
        options_of(long)
    with pytest.raises(TypeError, match="option table is annotated dict"):
        options_of(with_dict)
    with pytest.raises(TypeError, match="option thing needs an annotation"):
        options_of(without)
    with pytest.raises(TypeError, match="option width: its default: expected a whole number"):
        options_of(misfit)


def test_help_ends_where_the_section_ends() -> None:
    text = "Do.\n\nArgs:\n    a: one.\n    b: two\n      lines.\n\nReturns:\n    c: no.\n"
    assert help_of_parameters(text) == {"a": "one.", "b": "two lines."}
