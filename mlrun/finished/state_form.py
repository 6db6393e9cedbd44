"""What a saved state of a training holds besides weights: checked before anything is done with it.

A state may come from a store, whoever wrote that.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from mlrun.errors import MlrunError

Count = Annotated[int, Field(strict=True, ge=0, lt=2**53)]
EpochNumber = Annotated[int, Field(strict=True, ge=-1, lt=10**9)]  # -1 is the end
Seconds = Annotated[float, Field(ge=0, lt=1e12)]
Names = list[str]
FLOATS = frozenset({torch.float32, torch.float64, torch.float16, torch.bfloat16})
WHOLE = frozenset({torch.int64, torch.int32})


class Form(BaseModel):
    """A part of a state; what else is in it is left to who restores it."""

    model_config = ConfigDict(arbitrary_types_allowed=True)


class Counted(Form):
    """Steps of an epoch: `Tally`."""

    sizes: list[Annotated[Count, Field(gt=0)]]
    losses: Tensor | None = None
    hits: Tensor | None = None


class Packed(Form):
    """Series: `packed`."""

    names: Names
    lengths: list[Count]
    steps: Tensor
    values: Tensor


class Ranking(Form):
    """The best epochs, by which their files are called: `SaveWeights`."""

    ranking: list[tuple[float, Annotated[EpochNumber, Field(ge=0)]]]


class Pictures(Form):
    """Keys and epochs, by which pictures are called: `PictureLog`."""

    keys: Names
    epochs: dict[str, list[Annotated[EpochNumber, Field(ge=0)]]]


class Values(Form):
    """Names and epochs, by which values are called: `Kept`."""

    keys: dict[str, str]
    values: dict[EpochNumber, dict[str, Names]]


class Drawn(Form):
    """What was drawn: `DrawPictures`."""

    pictures: Pictures
    owners: dict[str, tuple[str, str]]
    kept: dict[str, Values]


class Callbacks(Form):
    """The states of callbacks by the names of their classes, of those that have one."""

    SaveWeights: Ranking
    DrawPictures: Drawn | None = None


class Saved(Form):
    """A state of a training: `TrainingState`."""

    model: dict[str, Tensor]
    epoch: Annotated[EpochNumber, Field(ge=0)]
    step: Count
    tally: Counted
    cut: Counted | None
    epoch_seconds: Seconds
    seconds: Seconds
    history: Packed
    steps: Packed
    stopped: str
    callbacks: Callbacks


def check_form(content: Mapping[str, Any]) -> None:
    """Raises MlrunError unless `content` has all that a state has, each of its kind."""
    try:
        state = Saved.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise MlrunError(f"its {place[:99]}: {first['msg'].lower()}") from None
    for name, tally in (("tally", state.tally), ("cut", state.cut)):
        if tally is not None and tally.sizes:
            check_row(f"{name}.losses", tally.losses, len(tally.sizes), FLOATS)
            check_row(f"{name}.hits", tally.hits, len(tally.sizes), FLOATS | WHOLE)
    for name, series in (("history", state.history), ("steps", state.steps)):
        if len(series.names) != len(series.lengths):
            raise MlrunError(f"its {name} has {len(series.names)} names of {len(series.lengths)}")
        check_row(f"{name}.steps", series.steps, sum(series.lengths), {torch.int64})
        check_row(f"{name}.values", series.values, sum(series.lengths), {torch.float64})


def check_row(name: str, row: Tensor | None, length: int, kinds: Collection[torch.dtype]) -> None:
    """Raises MlrunError unless a tensor has that many numbers, of one of those kinds."""
    if row is None or tuple(row.shape) != (length,) or row.dtype not in kinds:
        found = "not there" if row is None else f"{row.dtype} {tuple(row.shape)}"
        raise MlrunError(f"its {name}: expected {length} numbers, it is {found}")
