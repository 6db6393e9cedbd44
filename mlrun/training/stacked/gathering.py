"""Batches of several models: each its own images in its own order, gathered at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from mlrun.data.batches import Batches
from mlrun.data.examples import ExampleStore
from mlrun.machine.randomness import generator


class StackedBatches:
    """The batches of K models, from one copy of the images.

    Args:
        each: the K models' own batches, of as many examples of one data set, on one device.
    """

    def __init__(self, each: Sequence[Batches]) -> None:
        self.each = each
        selections = [batches.store.selection for batches in each]
        images = torch.cat([selection.indices for selection in selections]).unique()
        selected = replace(selections[0], indices=images)
        first = each[0].store
        self.store = ExampleStore.of(selected, first.normalisation, first.device)
        self.rows = torch.stack(
            [self.store.rows.cpu()[torch.searchsorted(images, one.indices)] for one in selections]
        )
        scales = [batches.store.normalisation.scale for batches in each]
        shifts = [batches.store.normalisation.shift for batches in each]
        self.scale, self.shift = torch.stack(scales)[:, None], torch.stack(shifts)[:, None]

    def epoch(self, number: int, first: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields (images, labels) of epoch `number`: float32 (K, B, C, H, W) and int64 (K, B).

        Those of each model are what its own `Batches.epoch` yields.

        Args:
            number: of the epoch.
            first: number of the batch that goes out first, from 0.
        """
        store, orders = self.store, torch.stack([order_of(one, number) for one in self.each])
        at_once = self.each[0].batch_size * self.each[0].batching.accumulate
        labels = torch.stack([one.labels for one in self.each])
        labels = labels.gather(1, orders.to(labels.device)).split(at_once, 1)
        cut = self.rows.gather(1, orders).to(store.rows.device).split(at_once, 1)
        for step in range(first, len(cut)):
            if store.readahead is not None:
                for soon in (step, step + 1)[step > first :]:
                    for some in cut[soon : soon + 1]:
                        store.readahead(some.flatten())
            taken = store.source.index_select(0, cut[step].flatten()).to(store.device)
            images = taken.to(torch.float32, copy=True).view(*cut[step].shape, *taken.shape[1:])
            images.mul_(self.scale).add_(self.shift)
            yield self.changed(images, number, step), labels[step]

    def changed(self, images: Tensor, epoch: int, step: int) -> Tensor:
        """Returns the images as each model's own batches change them, if they do."""
        changes = [one.batching.change for one in self.each]
        if not any(changes):
            return images
        pairs = zip(images, changes, strict=True)
        return torch.stack(
            [own if change is None else change(own, epoch, step, None) for own, change in pairs]
        )


def order_of(batches: Batches, epoch: int) -> Tensor:
    """Returns the order of an epoch's examples, int64 (N,), as `Batches.epoch` has it."""
    batching, count = batches.batching, len(batches.store)
    if not batching.shuffle:
        return torch.arange(count)[: batches.examples]
    drawn = generator(batching.seed, "order", epoch)
    return torch.randperm(count, generator=drawn)[: batches.examples]
