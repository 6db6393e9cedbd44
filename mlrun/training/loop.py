"""fit(): the loop, and the one object that holds its state."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from mlrun.data.batches import Batches
from mlrun.data.randomness import derive_seed
from mlrun.training.devices import seed_step, synchronise
from mlrun.training.evaluation import criterion

History = dict[str, list[tuple[int, float]]]
AfterStep = Callable[["TrainingState", Tensor, Tensor], None]
AfterEpoch = Callable[["TrainingState", dict[str, float]], None]


class TrainingFailed(Exception):
    """Training cannot go on: the loss is no longer a number, or the model broke its contract."""


@dataclass
class TrainingState:
    """Everything that training changes, so that it can be put down and taken up again.

    epoch, step: how many epochs and optimiser steps are done.
    history: the (epoch, value) pairs of each metric.
    """

    model: nn.Module
    optimiser: torch.optim.Optimizer
    epoch: int = 0
    step: int = 0
    history: History = field(default_factory=dict)

    def record(self, metrics: dict[str, float]) -> None:
        """Appends each of `metrics` to the history, at the present epoch."""
        for name, value in metrics.items():
            self.history.setdefault(name, []).append((self.epoch, value))

    def state_dict(self) -> dict[str, Any]:
        """Returns the state as tensors and plain values, which `weights_only=True` reads."""
        return {
            "version": 1,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "epoch": self.epoch,
            "step": self.step,
            "history": {name: list(pairs) for name, pairs in self.history.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes the state up that `state_dict` put down."""
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.epoch, self.step = state["epoch"], state["step"]
        self.history = {
            name: [(int(epoch), float(value)) for epoch, value in pairs]
            for name, pairs in state["history"].items()
        }


def fit(
    state: TrainingState,
    batches: Batches,
    *,
    epochs: int,
    seed: int,
    after_step: AfterStep | None,
    after_epoch: AfterEpoch,
) -> None:
    """Trains `state.model` until `epochs` epochs are done.

    Args:
        state: where training stands; changed in place.
        batches: of the training part; order drawn from (seed, epoch).
        epochs: the number of the last epoch.
        seed: the run's seed; random draws inside the model (dropout) come from it, the epoch
            and the step.
        after_step: called with the state, the batch's mean loss and its number of right
            answers, both on the device and not waited for.
        after_epoch: called with the state and the epoch's running means in training mode:
            `train/loss`, `train/accuracy` (fraction), `lr`, `examples_per_second`.

    Raises:
        TrainingFailed: an epoch's loss is not finite, or logits have the wrong shape.
    """
    model, optimiser, loss_of = state.model, state.optimiser, criterion(state.model)
    device = batches.device
    while state.epoch < epochs:
        model.train()
        first_seed = derive_seed(seed, "model", state.epoch + 1) >> 1  # and one more each step
        lr = float(optimiser.param_groups[0]["lr"])
        losses: list[Tensor] = []
        hits: list[Tensor] = []
        sizes: list[int] = []
        started = time.perf_counter()
        for images, labels in batches.epoch(state.epoch + 1):
            seed_step(device, first_seed + len(sizes))
            logits = model(images)
            loss = loss_of(logits, labels)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            state.step += 1
            losses.append(loss.detach())
            hits.append((logits.detach().argmax(1) == labels).sum())
            sizes.append(len(labels))
            if after_step is not None:
                after_step(state, losses[-1], hits[-1])
        synchronise(device)
        elapsed = time.perf_counter() - started
        examples = sum(sizes)
        mean_losses = torch.stack(losses).cpu().double()
        total = (mean_losses * torch.tensor(sizes, dtype=torch.float64)).sum().item()
        state.epoch += 1
        if not torch.isfinite(mean_losses).all():
            first = int((~torch.isfinite(mean_losses)).nonzero()[0])
            raise TrainingFailed(
                f"the loss is {mean_losses[first].item()} at step {first + 1} of epoch "
                f"{state.epoch}; try a smaller lr than {lr:g}"
            )
        after_epoch(
            state,
            {
                "train/loss": total / examples,
                "train/accuracy": torch.stack(hits).sum().item() / examples,
                "lr": lr,
                "examples_per_second": examples / elapsed,
            },
        )
