"""The settings that say how often something is done: in epochs, steps or minutes."""

from __future__ import annotations

import math
import re
from typing import Annotated, NamedTuple

from pydantic import BeforeValidator

from mlrun.seam.conversion import as_text, shown
from mlrun.settings.values import COUNTED


class Interval(NamedTuple):
    """So many optimiser steps, or so many seconds; infinite where it is not counted in them."""

    steps: float
    seconds: float


def evaluate_every_of(value: object) -> str:
    """Returns `N` (epochs) or `N steps`, without what may be left out.

    >>> evaluate_every_of("5 epochs"), evaluate_every_of("100steps"), evaluate_every_of(1)
    ('5', '100 steps', '1')
    """
    text = as_text(value).strip().lower()
    match = re.fullmatch(rf"({COUNTED})\s*(epochs?|steps?)?", text)
    if match is None:
        raise ValueError(f"expected a number of epochs, or of steps: 100steps, got {shown(text)!r}")
    count = str(int(match[1]))
    return f"{count} steps" if (match[2] or "").startswith("step") else count


def checkpoint_every_of(value: object) -> str:
    """Returns `N steps` or `N min`, or `none`.

    >>> checkpoint_every_of("100steps"), checkpoint_every_of("0.5 minutes"), checkpoint_every_of(5)
    ('100 steps', '0.5 min', '5 min')
    """
    text = as_text(value).strip().lower()
    if text == "none":
        return text
    steps = re.fullmatch(rf"({COUNTED})\s*steps?", text)
    if steps is not None:
        return f"{int(steps[1])} steps"
    minutes = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?)\s*(?:m|min|minutes?)?", text)
    if minutes is None or not float(minutes[1]):
        raise ValueError(
            f"expected a number of minutes above 0: 10min, or of steps: 500steps, or none, "
            f"got {shown(text)!r}"
        )
    return f"{float(minutes[1]):g} min"


def interval_of(text: str) -> Interval:
    """Returns what `checkpoint_every_of` returned as numbers.

    >>> interval_of("500 steps"), interval_of("10 min")
    (Interval(steps=500.0, seconds=inf), Interval(steps=inf, seconds=600.0))
    """
    count, _, unit = text.partition(" ")
    steps = float(count) if unit == "steps" else math.inf
    return Interval(steps, 60 * float(count) if unit == "min" else math.inf)


EvaluateEvery = Annotated[str, BeforeValidator(evaluate_every_of)]
CheckpointEvery = Annotated[str, BeforeValidator(checkpoint_every_of)]
