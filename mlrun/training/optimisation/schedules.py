"""Learning-rate schedules."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from mlrun.settings import Settings
from mlrun.training.optimisation.patience import Patience

RISE = 0.3  # of all steps: how long one-cycle rises
START, END = 1 / 25, 1 / 250_000  # of the lr: where one-cycle starts and ends; as torch has it
WITH_THE_END = ("cosine", "one-cycle")  # those that arrive at the training's last step
BETTER = 1e-4  # relative change that plateau takes for better; as torch has it

Factor = Callable[[int], float]


@dataclass
class Schedule:
    """Sets the learning rate of each of the optimiser's groups before each step.

    factor: maps the number of past steps to the factor of each group's own rate.
    plateau: the patience with the monitored metric, for schedule plateau.
    fall: the factor of the rates after a plateau.
    scale: the product of the falls so far.
    warm_steps: optimiser steps of the warm-up, after which the schedule begins.
    """

    optimiser: torch.optim.Optimizer
    factor: Factor
    plateau: Patience | None
    fall: float
    scale: float = 1.0
    warm_steps: int = 0

    def __post_init__(self) -> None:
        self.rates = [float(group["lr"]) for group in self.optimiser.param_groups]

    def set_rates(self, step: int) -> None:
        """Sets the rates for the step that follows `step` steps."""
        factor = self.scale * self.factor(step)
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor

    def figures(self) -> dict[str, float]:
        """Returns the present rates as metrics: `lr`, of the first group, and `lr/PART`s.

        A character that MLflow does not allow in a metric's name becomes `_`.
        """
        first, *others = self.optimiser.param_groups
        figures = {"lr": float(first["lr"])}
        for group in others:
            if "part" in group:
                name = "lr/" + re.sub(r"[^\w.-]", "_", group["part"])
                while name in figures:
                    name += "_"
                figures[name] = float(group["lr"])
        return figures

    def evaluated(self, value: float) -> None:
        """Adds the monitored metric of one evaluation; a plateau lowers the rates."""
        if self.plateau is not None and self.plateau.exhausted(value):
            self.scale *= self.fall
            self.plateau.waited = 0

    def state_dict(self) -> dict[str, Any]:
        """Returns the state that is not a function of the step."""
        waiting = self.plateau.state_dict() if self.plateau else None
        return {"scale": self.scale, "plateau": waiting}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the state that `state_dict` returned."""
        self.scale = float(state["scale"])
        if self.plateau is not None:
            self.plateau.load_state_dict(state["plateau"])


def make_schedule(
    optimiser: torch.optim.Optimizer, settings: Settings, *, steps: int, steps_an_epoch: int
) -> Schedule:
    """Returns the schedule that the settings name.

    Args:
        optimiser: whose rates are set; the factors multiply its present rates.
        steps: optimiser steps of the whole training, at the end of which cosine and
            one-cycle arrive.
        steps_an_epoch: by which warm-up and step count their epochs.
    """
    warm = round(settings.warmup_epochs * steps_an_epoch)
    shapes = {
        "cosine": cosine(warm, steps),
        "step": falling(warm, settings.schedule_every * steps_an_epoch, settings.schedule_factor),
        "one-cycle": one_cycle(steps),
    }
    shape = shapes.get(settings.schedule, constant)
    plateau = None
    if settings.schedule == "plateau":
        plateau = Patience(settings.monitor, settings.schedule_patience + 1, BETTER)
    return Schedule(
        optimiser,
        lambda step: min(1.0, (step + 1) / max(1, warm)) * shape(step),
        plateau,
        settings.schedule_factor,
        warm_steps=warm,
    )


def constant(step: int) -> float:
    """Returns 1 for every step."""
    return 1.0


def cosine(warm: int, steps: int) -> Factor:
    """Returns half a cosine from 1, after `warm` steps, to 0 at the end of `steps`."""

    def factor(step: int) -> float:
        progress = (step - warm) / max(1, steps - warm)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, progress))))

    return factor


def falling(warm: int, every: int, by: float) -> Factor:
    """Returns a factor that is multiplied `by` every so many steps, after `warm` steps."""
    return lambda step: by ** (max(0, step - warm) // every)


def one_cycle(steps: int) -> Factor:
    """Returns a rise from 1/25 to 1 and a longer fall to 1/250,000, each half a cosine.

    L. N. Smith and N. Topin, "Super-convergence", 2019, with the values of torch's OneCycleLR
    (but the momentum stays as it is).
    """
    top, last = RISE * steps - 1, steps - 1

    def factor(step: int) -> float:
        if step <= top:
            start, end, progress = START, 1.0, step / top
        else:
            start, end, progress = 1.0, END, (step - top) / max(1.0, last - top)
        return end + (start - end) / 2 * (1 + math.cos(math.pi * min(1.0, progress)))

    return factor
