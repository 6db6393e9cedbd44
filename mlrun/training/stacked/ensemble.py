"""Several models of one kind, passed through as one."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, vmap

from mlrun.machine.precision import Precision
from mlrun.training.losses import CrossEntropy, OwnLoss, criterion, precise
from mlrun.training.procedure import Procedure
from mlrun.training.stacked.adapted import Draws, adapt
from mlrun.training.stacked.rows import Rows


class OneModel(nn.Module):
    """A model and its loss, if it has one of its own: what `vmap` calls for each model.

    It holds no values: those of each model are put into it for a call.
    """

    def __init__(self, model: nn.Module, precision: Precision, draws: Draws) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).to("meta")
        adapt(self.model, draws)
        self.precision = precision
        own = criterion(self.model)
        self.own = own if isinstance(own, OwnLoss) else None

    def forward(self, images: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        """Returns logits (B, C), and the loss where it is the model's own."""
        with self.precision.autocast():
            logits = self.model(images)
        return (logits,) if self.own is None else (logits, self.own(logits, labels))


class StackedModels:
    """K models whose parameters and buffers are stacked, (K, …), and pass batches as one.

    Args:
        models: in training mode; what they hold are views of the stacks until `rows` gives it back.
        procedures: of their trainings.
        rows: what stacks.

    Attributes:
        tensors: by name, the stacked parameters and buffers.
        parameters: those that are trained.
    """

    def __init__(
        self, models: Sequence[nn.Module], procedures: Sequence[Procedure], rows: Rows
    ) -> None:
        first = models[0]
        device = next(first.parameters()).device
        self.draws = Draws(len(models) if device.type == "cpu" else 0)
        self.one = OneModel(first, procedures[0].precision, self.draws)
        self.tensors: dict[str, Tensor] = {}
        for held in (
            [dict(m.named_parameters()) for m in models],
            [dict(m.named_buffers()) for m in models],
        ):
            for name, tensor in held[0].items():
                stacked = rows.stack([each[name] for each in held])
                self.tensors[name] = stacked.requires_grad_(tensor.requires_grad)
        self.parameters = {n: t for n, t in self.tensors.items() if t.requires_grad}
        self.losses = None if self.one.own else StackedCrossEntropy(procedures)
        self._inner = {f"model.{name}": tensor for name, tensor in self.tensors.items()}
        self._call = vmap(self._call_one)

    def _call_one(
        self, held: dict[str, Tensor], images: Tensor, labels: Tensor
    ) -> tuple[Tensor, ...]:
        outputs: tuple[Tensor, ...] = functional_call(self.one, held, (images, labels))
        return outputs

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the mean loss of each model, (K,), and its logits, (K, B, C).

        Args:
            images: standardised float32 (K, B, …), on the device.
            labels: int64 (K, B).
        """
        logits, *own = self._call(self._inner, images, labels)
        return own[0] if self.losses is None else self.losses(logits, labels), logits


def named_tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yields a model's parameters, and then its buffers, by name."""
    yield from model.named_parameters()
    yield from model.named_buffers()


class StackedCrossEntropy:
    """The cross-entropy of K models, each with its own label smoothing and class weights."""

    def __init__(self, procedures: Sequence[Procedure]) -> None:
        each = [loss for p in procedures if isinstance(loss := p.loss_of, CrossEntropy)]
        self._smoothing = [loss.label_smoothing for loss in each]
        weights = [loss.weights for loss in each if loss.weights is not None]
        self._weights = torch.stack(weights) if weights else None

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Returns the mean loss of each model, (K,), of logits (K, B, C) and labels (K, B).

        The softmax is taken over the second dimension, where torch computes many images at once: a
        quarter of its time over the last one.
        """
        by_class = precise(logits).transpose(1, 2).contiguous()
        log_shares = F.log_softmax(by_class, 1)
        losses = F.nll_loss(log_shares, labels, reduction="none")
        if any(self._smoothing):
            share = losses.new_tensor(self._smoothing)[:, None]
            losses = (1 - share) * losses - share * log_shares.mean(1)
        if self._weights is not None:
            losses = losses * self._weights.to(losses.dtype).gather(1, labels)
        return losses.mean(1)
