"""One optimiser step: the gradients of its batch, a part at a time, and the weights they change."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor, nn

from mlrun.data.batches import Batches
from mlrun.data.shares import Share, cut, without_ahead
from mlrun.machine.randomness import derive_seed, seed_step
from mlrun.training.gradients import Targets, gradients_of
from mlrun.training.procedure import Procedure
from mlrun.training.state import TrainingState
from mlrun.training.tally import Answers


class Step:
    """What one step after another takes: the model, its loss, and the optimiser.

    Args:
        state: where training stands; changed in place.
        procedure: how the weights are trained.
        batches: that it is trained on; a batch goes through the model at once, of all processes
            together.
    """

    def __init__(self, state: TrainingState, procedure: Procedure, batches: Batches) -> None:
        self.state, self.procedure, self.device = state, procedure, batches.device
        self.at_once = batches.batch_size
        groups = state.optimiser.param_groups
        self.parameters = [parameter for group in groups for parameter in group["params"]]
        self.gradients = gradients_of(state, procedure, batches)
        self.epoch, self.seeds = -1, 0

    def __call__(
        self, epoch: int, step: int, images: Tensor, labels: Tensor
    ) -> tuple[Tensor, Answers | Tensor]:
        """Trains on a batch; returns its mean loss, and its answers, both detached.

        Of several processes, it is the number of right answers that is returned, of all of them.

        Args:
            epoch, step: the epoch's number, and the step's in it, from 0.
            images: of the batch, or this process's, with those before them that are mixed in.
            labels: of the whole batch, int64 (n,).
        """
        state, procedure = self.state, self.procedure
        if epoch != self.epoch:
            self.epoch, self.seeds = epoch, seed_of(procedure.seed, epoch, state.group.rank)
        seed_step(self.device, self.seeds + step)
        state.schedule.set_rates(state.step)
        for parameter in self.parameters:  # 25 µs less than optimiser.zero_grad()
            parameter.grad = None
        others, share = labels, 1.0
        if procedure.mixing is not None:
            seed = derive_seed(procedure.seed, "mixing", epoch, step)
            mixed = procedure.mixing(images, seed=seed)
            images, others, share = mixed.images, labels.roll(1), mixed.share
        targets = Targets(labels, others, share, len(labels), len(labels))
        ours = Share.of(state.group, len(labels), self.at_once)
        if ours is not None:
            images, targets = own_part(images, targets, ours)
        loss, logits = self.backward(images, targets, ours)
        self.gradients.complete(self.parameters)
        totals = self.totals(targets)
        if procedure.clip_norm:
            state.scaler.unscale_(state.optimiser)
            nn.utils.clip_grad_norm_(state.model.parameters(), procedure.clip_norm)
        state.scaler.step(state.optimiser)
        state.scaler.update()
        state.step += 1
        if state.average is not None:
            state.average.update(state.step)
        return (loss, targets.answers(logits)) if totals is None else totals

    def totals(self, targets: Targets) -> tuple[Tensor, Tensor] | None:
        """Returns a step's mean loss and how many predictions are right, of several processes."""
        totals = self.gradients.totals()
        if totals is None:
            return None
        multiplied = self.state.scaler.scale(torch.ones_like(totals))
        if self.procedure.reduction == "sum":
            multiplied *= targets.examples
        loss, right = (totals / multiplied).unbind()
        return loss, right.round() if targets.share == 1 else right

    def backward(
        self, images: Tensor, targets: Targets, ours: Share | None
    ) -> tuple[Tensor, Tensor]:
        """Computes the gradients of one step; returns its mean loss and its logits, both detached.

        The images go through the model as many at once as a batch has. Of several processes, each
        returns what its images add to the loss; the gradients are those of all.
        """
        if targets.examples <= self.at_once:  # as a rule
            return self.backward_part(images, targets)
        results = []
        sizes = self.at_once if ours is None else ours.sizes
        pieces = [tensor.split(sizes) for tensor in (images, targets.labels, targets.others)]
        counts = [len(labels) for labels in pieces[1]] if ours is None else ours.counts
        for place, (inputs, own, other, rows) in enumerate(zip(*pieces, counts, strict=True), 1):
            some = Targets(own, other, targets.share, rows, targets.examples)
            with nullcontext() if place == len(counts) else self.gradients.alone():
                results.append(self.backward_part(inputs, some))
        losses, logits = zip(*results, strict=True)
        return torch.stack(losses).sum(), torch.cat(logits)

    def backward_part(self, images: Tensor, targets: Targets) -> tuple[Tensor, Tensor]:
        """Adds the gradients of some of a step's examples; returns their loss and logits."""
        loss, logits = self.gradients.loss_of(images, targets)
        factor = self.state.group.size  # by which the sum of all gradients is divided
        if self.procedure.reduction == "sum":
            factor *= targets.examples
        objective = loss * factor if factor > 1 else loss
        self.state.scaler.scale(objective).backward()
        return loss.detach(), logits.detach()


def seed_of(seed: int, epoch: int, rank: int) -> int:
    """Returns what the model draws from in an epoch's first step; each one after it has one more.

    Of several processes each has its own: their images are others.
    """
    names = (epoch, rank) if rank else (epoch,)
    return derive_seed(seed, "model", *names) >> 1


def own_part(images: Tensor, targets: Targets, ours: Share) -> tuple[Tensor, Targets]:
    """Returns this process's images of a step, without those ahead of them, and their targets."""
    labels, others, share, _, examples = targets
    own = Targets(cut(labels, ours), cut(others, ours), share, sum(ours.counts), examples)
    return without_ahead(images, ours), own
