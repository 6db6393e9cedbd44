"""The one object that holds the state of training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from mlrun.training.average import Average
from mlrun.training.patience import Patience
from mlrun.training.schedules import Schedule
from mlrun.training.series import Series, packed, unpacked


@dataclass
class TrainingState:
    """Everything that training changes, so that it can be put down and taken up again.

    scaler: of the gradients; it does nothing but with precision 16.
    patience: what early stopping waits for.
    average: the running average of the weights, if one is kept.
    epoch, step: how many epochs and optimiser steps are done.
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
    epoch: int = 0
    step: int = 0
    history: dict[str, Series] = field(default_factory=dict)
    steps: dict[str, Series] = field(default_factory=dict)
    stopped: str = ""

    @property
    def evaluated(self) -> nn.Module:
        """The model that is evaluated, drawn and kept: the average if there is one."""
        return self.model if self.average is None else self.average.model

    def record(self, metrics: dict[str, float]) -> None:
        """Appends each of `metrics` to the history, at the present epoch."""
        for name, value in metrics.items():
            self.history.setdefault(name, Series()).append(self.epoch, value)

    def record_step(self, step: int, figures: dict[str, float]) -> None:
        """Appends each of `figures` to the series of its name, at an optimiser step."""
        for name, value in figures.items():
            self.steps.setdefault(name, Series()).append(step, value)

    def state_dict(self) -> dict[str, Any]:
        """Returns the state as tensors and plain values, which `weights_only=True` reads."""
        return {
            "version": 4,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self.scaler.state_dict(),
            "patience": self.patience.state_dict(),
            "average": None if self.average is None else self.evaluated.state_dict(),
            "epoch": self.epoch,
            "step": self.step,
            "history": packed(self.history),
            "steps": packed(self.steps),
            "stopped": self.stopped,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes the state up that `state_dict` put down."""
        for name in ("model", "optimiser", "schedule", "scaler", "patience"):
            getattr(self, name).load_state_dict(state[name])
        if self.average is not None:
            self.evaluated.load_state_dict(state["average"])
        self.epoch, self.step, self.stopped = state["epoch"], state["step"], state["stopped"]
        self.history, self.steps = unpacked(state["history"]), unpacked(state["steps"])
