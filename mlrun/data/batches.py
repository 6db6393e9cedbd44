"""Seeded batches by index, from tensors that lie ready on the device."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from mlrun.data.normalisation import Normalisation
from mlrun.data.readahead import readahead_of
from mlrun.data.splits import Selection
from mlrun.machine.randomness import generator

CHUNK = 64 * 2**20  # bytes of images that are copied to an accelerator at once
UNTOLD_ROOM = 512 * 2**20  # bytes to keep on an accelerator that does not say what is free there

Change = Callable[[Tensor, int, int], Tensor]


class Batches:
    """The images of one selection as batches of standardised float32 on the device.

    They lie as bytes and are standardised batch by batch: that takes no longer than to gather
    floats, which are four times as many bytes, and a data set needs no second place in memory.
    An accelerator gets a copy of its own, if it takes at most half of its free memory.

    Args:
        selection: which images.
        normalisation: on the device.
        batch_size: examples a batch.
        accumulate: batches that go out as one, to be taken apart again where they are used.
        device: where the batches go.
        shuffle: a new order each epoch, drawn from (seed, epoch); else the selection's order.
        drop_last: leave out the last batch when it is short.
        seed: the run's seed.
        change: called with each batch of standardised images, the epoch and the batch's number
            in it, from 0; what it returns goes out in their place.

    Attributes:
        labels: int64 (N,), on the device.
        source: what the examples are gathered from: uint8 (M, C, H, W), or what is held in
            their place.
        rows: int64 (N,), where each example lies in `source`; on its device.
        standardised: whether `source` goes out as it is.
        readahead: reads rows of `source` beforehand, where it is mapped from a file.
    """

    def __init__(
        self,
        selection: Selection,
        normalisation: Normalisation,
        *,
        batch_size: int,
        device: torch.device,
        accumulate: int = 1,
        shuffle: bool = False,
        drop_last: bool = False,
        seed: int = 0,
        change: Change | None = None,
    ) -> None:
        self.selection = selection
        self.normalisation = normalisation
        self.batch_size = batch_size
        self.accumulate = accumulate
        self.device = device
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.seed = seed
        self.change = change
        self.labels = selection.labels[selection.indices].to(device)
        self.source, self.rows = selection.images, selection.indices
        self.standardised = False
        self.readahead = None
        if len(selection) * selection.images[0].numel() <= room_on(device):
            self.source = copied(selection, device)
            self.rows = torch.arange(len(selection), device=device)
        else:
            self.readahead = readahead_of(self.source)

    def in_order(self, batch_size: int) -> Batches:
        """Returns batches of the same images, not copied: all, in their order, unchanged."""
        twin = copy.copy(self)
        twin.batch_size, twin.accumulate = batch_size, 1
        twin.shuffle, twin.drop_last, twin.change = False, False, None
        return twin

    def only(self, places: Sequence[int]) -> Batches:
        """Returns batches of the images at `places` of the selection, in that order, unchanged."""
        chosen = torch.as_tensor(places, dtype=torch.int64)
        twin = self.in_order(self.batch_size)
        twin.selection = replace(self.selection, indices=self.selection.indices[chosen])
        twin.labels = self.labels[chosen.to(self.labels.device)]
        twin.rows = self.rows[chosen.to(self.rows.device)]
        return twin

    def holding(self, examples: Tensor) -> Batches:
        """Returns batches of the same examples, with `examples`, (N, …), in the images' place.

        They go to the device from where `examples` lies: there, or on the host.
        """
        twin = copy.copy(self)
        twin.source, twin.standardised = examples, True
        twin.readahead = None
        twin.rows = torch.arange(len(examples), device=examples.device)
        return twin

    @property
    def examples(self) -> int:
        """How many examples one epoch sees."""
        count = len(self.selection)
        return count - count % self.batch_size if self.drop_last else count

    def __len__(self) -> int:
        return -(-self.examples // (self.batch_size * self.accumulate))

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields (images, labels) of epoch `number`: float32 (n, C, H, W) and int64 (n,).

        Where they are `holding` something else, that comes in the images' place.
        """
        count = len(self.selection)
        if self.shuffle:
            order = torch.randperm(count, generator=generator(self.seed, "order", number))
        else:
            order = torch.arange(count)
        order = order[: self.examples]
        at_once = self.batch_size * self.accumulate
        # labels and places are gathered and cut once an epoch, and go over in one piece: that
        # leaves one gather a step, and on an accelerator no transfer
        labels = self.labels.index_select(0, order.to(self.device)).split(at_once)
        rows = self.rows.index_select(0, order.to(self.rows.device)).split(at_once)
        for step, (some, own) in enumerate(zip(rows, labels, strict=True)):
            if self.readahead is not None:
                for soon in rows[(step + 1 if step else 0) : step + 2]:  # one batch beforehand
                    self.readahead(soon)
            images = self._take(some)
            if self.change is not None:
                images = self.change(images, number, step)
            yield images, own

    def gather(self, places: Tensor) -> Tensor:
        """Returns the standardised images at `places` of the selection, on the device."""
        return self._take(self.rows[places.to(self.rows.device)])

    def _take(self, rows: Tensor) -> Tensor:
        """Returns what lies in these rows of the source, ready for the model, on the device."""
        # index_select copies whole rows: half the time of source[rows]
        found = self.source.index_select(0, rows).to(self.device)
        if self.standardised:
            return found
        images: Tensor = self.normalisation(found)
        return images


def copied(selection: Selection, device: torch.device) -> Tensor:
    """Returns the selection's images, uint8 (N, C, H, W), on a device with room for them once."""
    images = selection.images
    copy = torch.empty((len(selection), *images.shape[1:]), dtype=torch.uint8, device=device)
    size = max(1, CHUNK // images[0].numel())
    for to, rows in zip(copy.split(size), selection.indices.split(size), strict=True):
        to.copy_(images[rows])
    return copy


def room_on(device: torch.device) -> int:
    """Returns how many bytes of images to keep on an accelerator: half of what is free there.

    0 on the CPU, where images are gathered from where they lie.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free // 2
    return 0 if device.type == "cpu" else UNTOLD_ROOM
