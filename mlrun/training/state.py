"""The state of training: model, optimiser, schedule, history."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
import torch
from torch import nn

from mlrun.machine.group import ALONE, Group
from mlrun.training.average import Average
from mlrun.training.optimisation.patience import Patience
from mlrun.training.optimisation.schedules import Schedule
from mlrun.training.tally import Tally


class Series(Sequence[tuple[int, float]]):
    """(step, value) pairs, in the order they were added; 16 bytes each, in two buffers.

    steps, values: the buffers.

    >>> series = Series()
    >>> series.append(10, 0.5)
    >>> list(series)
    [(10, 0.5)]
    """

    def __init__(self) -> None:
        self.steps = array("q")
        self.values = array("d")

    def append(self, step: int, value: float) -> None:
        """Adds the value at an optimiser step."""
        self.steps.append(step)
        self.values.append(value)

    def drop_from(self, step: int) -> None:
        """Removes the values at that step and later ones, which are the last that were added."""
        while self.steps and self.steps[-1] >= step:
            del self.steps[-1], self.values[-1]

    def copy(self) -> Series:
        """Returns an independent copy."""
        series = Series()
        series.steps, series.values = self.steps[:], self.values[:]
        return series

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[tuple[int, float]]:
        return zip(self.steps, self.values, strict=True)

    @overload
    def __getitem__(self, place: int) -> tuple[int, float]: ...
    @overload
    def __getitem__(self, place: slice) -> list[tuple[int, float]]: ...
    def __getitem__(self, place: int | slice) -> tuple[int, float] | list[tuple[int, float]]:
        if isinstance(place, slice):
            return list(zip(self.steps[place], self.values[place], strict=True))
        return self.steps[place], self.values[place]


@dataclass
class TrainingState:
    """Everything that training changes, so that it can be saved and restored.

    scaler: of the gradients; it does nothing but with precision 16.
    patience: of early stopping.
    average: the running average of the weights, if there is one.
    group: the processes that train together; only rank 0's has a history, tallies and patience.
    epoch, step: how many epochs and optimiser steps are done.
    tally: of the steps of the next epoch that are done already.
    cut: of the steps of the last epoch, where it ended before its end; else None.
    epoch_seconds: that these steps took. seconds: that the training took so far.
    history: the (epoch, value) pairs of each metric.
    steps: the (step, value) pairs of each figure by optimiser step that is logged.
    stopped: why training ended before its last step, if it did.
    """

    model: nn.Module
    optimiser: torch.optim.Optimizer
    schedule: Schedule
    scaler: torch.amp.GradScaler
    patience: Patience
    average: Average | None = None
    group: Group = ALONE
    epoch: int = 0
    step: int = 0
    tally: Tally = field(init=False, default_factory=Tally)
    cut: Tally | None = None
    epoch_seconds: float = 0.0
    seconds: float = 0.0
    history: dict[str, Series] = field(default_factory=dict)
    steps: dict[str, Series] = field(default_factory=dict)
    stopped: str = ""

    @property
    def evaluated(self) -> nn.Module:
        """The model that is evaluated, visualised and saved: the average if there is one."""
        return self.model if self.average is None else self.average.model

    def record(self, metrics: Mapping[str, float]) -> None:
        """Appends each of `metrics` to the history, at the present epoch."""
        for name, value in metrics.items():
            self.history.setdefault(name, Series()).append(self.epoch, value)

    def record_step(self, step: int, figures: Mapping[str, float]) -> None:
        """Appends each of `figures` to the series of its name, at an optimiser step."""
        for name, value in figures.items():
            self.steps.setdefault(name, Series()).append(step, value)

    @contextmanager
    def ending_epoch(self) -> Iterator[None]:
        """Counts the epoch whose steps are done; an error in the block takes it all back.

        Then it is as if the last step had just been done, and the block can be gone through again.
        """
        now = self.epoch, self.tally, self.cut, self.epoch_seconds, self.stopped
        waiting, schedule = self.patience.state_dict(), self.schedule.state_dict()
        self.epoch, self.tally, self.cut, self.epoch_seconds = self.epoch + 1, Tally(), None, 0.0
        try:
            yield
        except BaseException:
            for series in self.history.values():
                series.drop_from(self.epoch)
            self.epoch, self.tally, self.cut, self.epoch_seconds, self.stopped = now
            self.patience.load_state_dict(waiting)
            self.schedule.load_state_dict(schedule)
            raise

    def state_dict(self) -> dict[str, Any]:
        """Returns the state as tensors and plain values, which `weights_only=True` reads."""
        return {
            "version": 5,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self.scaler.state_dict(),
            "patience": self.patience.state_dict(),
            "average": None if self.average is None else self.evaluated.state_dict(),
            "epoch": self.epoch,
            "step": self.step,
            "tally": self.tally.state_dict(),
            "cut": None if self.cut is None else self.cut.state_dict(),
            "epoch_seconds": self.epoch_seconds,
            "seconds": self.seconds,
            "history": packed(self.history),
            "steps": packed(self.steps),
            "stopped": self.stopped,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the state that `state_dict` returned."""
        for name in ("model", "optimiser", "schedule", "scaler", "patience"):
            getattr(self, name).load_state_dict(state[name])
        if self.average is not None:
            self.evaluated.load_state_dict(state["average"])
        self.epoch, self.step, self.stopped = state["epoch"], state["step"], state["stopped"]
        device = next((p.device for p in self.model.parameters()), torch.device("cpu"))
        self.tally = Tally.of(state["tally"], device)
        self.cut = None if state["cut"] is None else Tally.of(state["cut"], device)
        self.epoch_seconds, self.seconds = state["epoch_seconds"], state["seconds"]
        self.history, self.steps = unpacked(state["history"]), unpacked(state["steps"])


def packed(series: Mapping[str, Series]) -> dict[str, Any]:
    """Returns copies of all series in two tensors, int64 `steps` and float64 `values`.

    They follow one another; `names` and `lengths` say where each is. To write a tensor for
    each, or the pairs of a thousand epochs as plain numbers, takes several times as long.
    """
    steps, values = array("q"), array("d")
    for one in series.values():
        steps += one.steps
        values += one.values
    return {
        "names": list(series),
        "lengths": [len(one) for one in series.values()],
        "steps": torch.from_numpy(np.array(steps)),
        "values": torch.from_numpy(np.array(values)),
    }


def unpacked(tensors: Mapping[str, Any]) -> dict[str, Series]:
    """Returns the series that `packed` packed, from tensors on any device."""
    parts = [tensors[which].cpu().split(tensors["lengths"]) for which in ("steps", "values")]
    series = {}
    for name, steps, values in zip(tensors["names"], *parts, strict=True):
        series[name] = one = Series()
        one.steps.frombytes(steps.numpy().tobytes())
        one.values.frombytes(values.numpy().tobytes())
    return series
