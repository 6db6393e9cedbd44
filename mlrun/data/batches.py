"""Seeded batches by index, from tensors that lie ready on the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mlrun.data.examples import ExampleStore
from mlrun.data.shares import Share, cut
from mlrun.machine.group import ALONE, Group
from mlrun.machine.randomness import generator

Change = Callable[[Tensor, int, int, Share | None], Tensor]


@dataclass(frozen=True)
class Batching:
    """How examples become the batches of an epoch; by default all of them, in their order.

    batch_size: examples a batch.
    accumulate: batches that go out as one, to be taken apart again where they are used.
    shuffle: a new order each epoch, drawn from (seed, epoch); else the selection's order.
    drop_last: leave out the last batch when it is short.
    seed: the run's seed.
    change: called with each batch of standardised images, the epoch, the batch's number in
        it, from 0, and which images those are, or None for all; what it returns goes out in their
        place.
    group: the processes that train together, each on its rows of each batch.
    ahead: how many rows go out before those of each of the `accumulate` batches: 1 where images are
        mixed with the one before them.
    """

    batch_size: int
    accumulate: int = 1
    shuffle: bool = False
    drop_last: bool = False
    seed: int = 0
    change: Change | None = None
    group: Group = ALONE
    ahead: int = 0


class Batches:
    """The examples of a store as batches of standardised float32 on the device.

    Several may share one store: nothing in it changes, and nothing is copied.

    Args:
        store: the examples.
        batching: how they become batches.

    Attributes:
        batch_size: examples a batch.
        labels: int64 (N,), on the device.
        device: where the batches go.
    """

    def __init__(self, store: ExampleStore, batching: Batching) -> None:
        self.store, self.batching = store, batching
        self.batch_size = batching.batch_size
        self.labels, self.device = store.labels, store.device

    def only(self, places: Sequence[int]) -> Batches:
        """Returns batches of the images at `places` of the selection, in that order, unchanged."""
        return Batches(self.store.only(places), Batching(self.batch_size))

    def changed_by(self, change: Change) -> Batches:
        """Returns batches of the same examples: all, in their order, changed by `change`."""
        return Batches(self.store, Batching(self.batch_size, change=change))

    def holding(self, features: Tensor) -> Batches:
        """Returns batches of the same examples, with `features`, (N, …), in the images' place."""
        return Batches(self.store.holding(features), self.batching)

    @property
    def examples(self) -> int:
        """How many examples one epoch sees."""
        count = len(self.store)
        return count - count % self.batch_size if self.batching.drop_last else count

    def __len__(self) -> int:
        return -(-self.examples // (self.batch_size * self.batching.accumulate))

    def epoch(self, number: int, first: int = 0, every: int = 1) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields (images, labels) of epoch `number`: float32 (n, C, H, W) and int64 (n,).

        Where they are `holding` features, those come in the images' place. What goes out as the
        `first` one and later ones does not depend on whether those before were asked for.

        Where a group of processes trains together, the images are those of this process alone,
        with those `ahead` before them; the labels are the whole batch's.

        Args:
            number: of the epoch.
            first: number of the batch that goes out first, from 0.
            every: 1 for all from there on, n for each n-th.
        """
        store, batching = self.store, self.batching
        count = len(store)
        if batching.shuffle:
            order = torch.randperm(count, generator=generator(batching.seed, "order", number))
        else:
            order = torch.arange(count)
        order = order[: self.examples]
        at_once = self.batch_size * batching.accumulate
        # labels and places are gathered and cut once an epoch, and go over in one piece: that
        # leaves one gather a step, and on an accelerator no transfer
        labels = store.labels.index_select(0, order.to(store.device)).split(at_once)
        rows = store.rows.index_select(0, order.to(store.rows.device)).split(at_once)
        for step in range(first, len(rows), every):
            share = self.share(len(rows[step]))
            if store.readahead is not None:
                for soon in (step, step + every)[step > first :]:  # one batch beforehand
                    for some in rows[soon : soon + 1]:
                        store.readahead(cut(some, self.share(len(some))))
            images = store.take(cut(rows[step], share))
            if batching.change is not None:
                images = batching.change(images, number, step, share)
            yield images, labels[step]

    def share(self, size: int) -> Share | None:
        """Returns which images of a batch of that size are this process's; None for all."""
        batching = self.batching
        return Share.of(batching.group, size, batching.batch_size, batching.ahead)

    def gather(self, places: Tensor) -> Tensor:
        """Returns the standardised images at `places` of the selection, on the device."""
        return self.store.gather(places)
