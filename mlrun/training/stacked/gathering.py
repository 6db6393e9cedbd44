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
        self.store, rows = one_store([batches.store for batches in each])
        self.rows = torch.stack(rows)
        scales = [batches.store.normalisation.scale for batches in each]
        shifts = [batches.store.normalisation.shift for batches in each]
        self.scale, self.shift = torch.stack(scales)[:, None], torch.stack(shifts)[:, None]
        self._bytes = torch.empty(0)  # of a batch, and what it becomes
        self._images = torch.empty(0)

    def epoch(self, number: int, first: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields (images, labels) of epoch `number`: float32 (K, B, C, H, W) and int64 (K, B).

        Those of each model are what its own `Batches.epoch` yields. The images are there until the
        next ones are asked for.

        Args:
            number: of the epoch.
            first: number of the batch that goes out first, from 0.
        """
        store, orders = self.store, torch.stack([order_of(one, number) for one in self.each])
        at_once = self.each[0].batch_size * self.each[0].batching.accumulate
        labels = torch.stack([one.labels for one in self.each])
        labels = labels.gather(1, orders.to(labels.device)).split(at_once, 1)
        cut = self.rows.gather(1, orders.to(self.rows.device)).split(at_once, 1)
        for step in range(first, len(cut)):
            if store.readahead is not None:
                for soon in (step, step + 1)[step > first :]:
                    for some in cut[soon : soon + 1]:
                        store.readahead(some.flatten())
            yield self.changed(self.gather(cut[step]), number, step), labels[step]

    def gather(self, rows: Tensor) -> Tensor:
        """Returns the standardised images, (K, B, C, H, W), of rows (K, B) of the store.

        They lie where those before them lay, if they are as many: so much memory goes back to the
        system as soon as it is free, and to have it again takes longer than to fill it.
        """
        source = self.store.source
        shape = (*rows.shape, *source.shape[1:])
        if self._images.shape != shape:
            self._bytes = source.new_empty(rows.numel(), *source.shape[1:])
            self._images = torch.empty(shape, device=self.store.device)
        torch.index_select(source, 0, rows.flatten(), out=self._bytes)
        self._images.copy_(self._bytes.view(shape))
        return self._images.mul_(self.scale).add_(self.shift)

    def changed(self, images: Tensor, epoch: int, step: int) -> Tensor:
        """Returns the images as each model's own batches change them, if they do."""
        changes = [one.batching.change for one in self.each]
        if not any(changes):
            return images
        pairs = zip(images, changes, strict=True)
        return torch.stack(
            [own if change is None else change(own, epoch, step, None) for own, change in pairs]
        )


def one_store(stores: Sequence[ExampleStore]) -> tuple[ExampleStore, list[Tensor]]:
    """Returns a store that holds the examples of all, and where in its source those of each lie."""
    first = stores[0]
    if all(store.source.data_ptr() == first.source.data_ptr() for store in stores):
        return first, [store.rows for store in stores]
    selections = [store.selection for store in stores]  # each has a copy of its own
    images = torch.cat([selection.indices for selection in selections]).unique()
    selected = replace(selections[0], indices=images)
    store = ExampleStore.of(selected, first.normalisation, first.device)
    places = [torch.searchsorted(images, selection.indices) for selection in selections]
    return store, [store.rows[some.to(store.rows.device)] for some in places]


def order_of(batches: Batches, epoch: int) -> Tensor:
    """Returns the order of an epoch's examples, int64 (N,), as `Batches.epoch` has it."""
    batching, count = batches.batching, len(batches.store)
    if not batching.shuffle:
        return torch.arange(count)[: batches.examples]
    drawn = generator(batching.seed, "order", epoch)
    return torch.randperm(count, generator=drawn)[: batches.examples]
