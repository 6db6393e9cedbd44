"""How a setting is declared: its default, help and bounds, and what else is true of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

from mlrun.seam.components import Kind


class OptionOf(NamedTuple):
    """Another setting, and the values of it beside which this one means anything."""

    setting: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Traits:
    """What is true of a setting besides its type, default, help and bounds.

    group: the heading that it stands under in the help.
    decides: whether it has a part in what the training comes to, beyond rounding. Runs that
        differ in nothing that does but the seed are repetitions of each other.
    in_name: whether it stands in a run's name: always, before all others, where it is not the
        default, or never.
    kind: of the component, or components, that it names.
    option_of: the other setting that it is an option of.
    repeatable: whether it may be given several times on the command line.
    words: what may stand in place of a value of any other form; for completion.
    path: whether it is the path of a file or folder, where it is none of the words.
    executed: whether its files are executed: they are trusted, and compared, by their digests.
    selects: whether it has a part in which images belong to which part of the data.
    free: whether a run that `--resume` goes on with may have another value of it, which it keeps.
    """

    group: str = ""
    decides: bool = True
    in_name: Literal["first", "changed", "never"] = "changed"
    kind: Kind | None = None
    option_of: OptionOf | None = None
    repeatable: bool = False
    words: tuple[str, ...] = ()
    path: Literal["file", "dir"] | None = None
    executed: bool = False
    selects: bool = False
    free: bool = False


PLAIN = Traits()
UNNAMED = Traits(in_name="never")
BESIDE = Traits(decides=False, in_name="never")  # the training comes to the same without it
FREE = replace(BESIDE, free=True)


class SettingsGroup(BaseModel):
    """Settings that belong together; immutable, checked when made."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


def setting(
    default: Any, description: str, group: str, traits: Traits = PLAIN, **bounds: Any
) -> Any:
    """Returns a pydantic field with a default, a line of help, a group, traits and bounds."""
    if isinstance(default, float):
        bounds = {"allow_inf_nan": False, **bounds}
    extra: Any = {"traits": replace(traits, group=group)}
    return Field(default, description=description, json_schema_extra=extra, **bounds)


def traits_of_field(field: FieldInfo) -> Traits:
    """Returns the traits that a field was declared with by `setting`."""
    extra: Any = field.json_schema_extra
    traits: Traits = extra["traits"]
    return traits
