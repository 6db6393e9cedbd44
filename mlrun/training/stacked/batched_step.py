"""One step of several models at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from mlrun.training.stacked.averages import StackedAverages
from mlrun.training.stacked.ensemble import StackedModels
from mlrun.training.stacked.member import Member
from mlrun.training.stacked.numbers import Numbers
from mlrun.training.stacked.rows import Rows
from mlrun.training.stacked.updates import StackedOptimiser
from mlrun.training.step import seed_of


class StackedStep:
    """What one step after another of K models takes; each comes to what `Step` makes of it.

    Args:
        members: the models' trainings; what they hold are rows of stacks until `rows` gives it
            back.
        epoch: the epoch's number, from 1.
        rows: what stacks.
    """

    def __init__(self, members: Sequence[Member], epoch: int, rows: Rows) -> None:
        self.states = [member.state for member in members]
        self.procedures = [member.procedure for member in members]
        self.models = StackedModels([s.model for s in self.states], self.procedures, rows)
        stacks = self.models.parameters
        first = dict(self.states[0].model.named_parameters())
        self.optimiser = StackedOptimiser(
            [state.optimiser for state in self.states],
            {first[name]: stacked for name, stacked in stacks.items()},
            rows,
        )
        averages = [state.average for state in self.states if state.average is not None]
        self.averages = StackedAverages(averages, self.models.tensors, rows) if averages else None
        self.at_once = members[0].batches.batch_size
        self.norms = Norms([procedure.clip_norm for procedure in self.procedures])
        self.seeds = [seed_of(procedure.seed, epoch, 0) for procedure in self.procedures]

    def __call__(self, step: int, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Trains on a batch of each model; returns mean losses (K,) and logits (K, B, C), detached.

        Args:
            step: of the epoch, from 0.
            images: standardised float32 (K, B, …), on the device.
            labels: int64 (K, B).
        """
        self.models.draws.seed([seed + step for seed in self.seeds])
        for state in self.states:
            state.schedule.set_rates(state.step)
        parameters = self.models.parameters.values()
        for parameter in parameters:
            parameter.grad = None
        losses, logits = self.backward(images, labels)
        self.norms.clip(parameters)
        self.optimiser.step()
        for state in self.states:
            state.step += 1
        if self.averages is not None:
            self.averages.update(self.states[0].step)
        return losses, logits

    def backward(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Computes the gradients of one step, each model's images in pieces as it takes them."""
        results, examples = [], labels.shape[1]
        pieces = [tensor.split(self.at_once, 1) for tensor in (images, labels)]
        for some, own in zip(*pieces, strict=True):
            losses, logits = self.models(some, own)
            losses = losses * (own.shape[1] / examples) if own.shape[1] < examples else losses
            factor = examples if self.procedures[0].reduction == "sum" else 1
            (losses.sum() * factor).backward()
            results.append((losses.detach(), logits.detach()))
        if len(results) == 1:
            return results[0]
        parts, outputs = zip(*results, strict=True)
        return torch.stack(parts).sum(0), torch.cat(outputs, 1)


class Norms:
    """The largest norm of each model's gradient; 0 for any."""

    def __init__(self, most: Sequence[float]) -> None:
        self._most = [norm or float("inf") for norm in most] if any(most) else []
        self._numbers = Numbers()

    @torch.no_grad()
    def clip(self, parameters: Iterable[Tensor]) -> None:
        """Shortens the gradients as torch's `clip_grad_norm_` does, for each model by itself."""
        if not self._most:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        norms = [gradient.flatten(1).norm(dim=1) for gradient in gradients]
        total = torch.stack(norms).norm(dim=0)
        shares = (self._numbers.like(self._most, total) / (total + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(shares.view(-1, *[1] * (gradient.ndim - 1)))
