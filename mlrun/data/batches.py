"""Seeded batches by index, from tensors that lie ready on the device."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from mlrun.data.normalisation import Normalisation
from mlrun.data.randomness import generator
from mlrun.data.splits import Selection

READY_COPY = 512 * 2**20  # bytes: up to here a selection is kept as standardised float32
CHUNK = 64 * 2**20  # bytes of images that are moved or standardised at once

Change = Callable[[Tensor, int, int], Tensor]


class Batches:
    """The images of one selection as batches of standardised float32 on the device.

    A selection whose float32 copy takes at most `READY_COPY` bytes is standardised once and
    kept on the device. A larger one is standardised batch by batch, by the same formula, so
    the numbers do not depend on its size: from a uint8 copy on the accelerator, if that takes
    at most half of its free memory, else from where the data set has it.

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
        self.ready: Tensor | None = None
        self.raw: Tensor | None = None
        size = len(selection) * selection.images[0].numel()  # bytes as uint8
        if 4 * size <= READY_COPY:
            self.ready = torch.cat([normalisation(chunk) for chunk in self._chunks()])
        elif size <= room_on(device):
            self.raw = self._copy()

    def _chunks(self) -> Iterator[Tensor]:
        """Yields the selection's raw images on the device, some MiB at a time."""
        images = self.selection.images
        for some in self.selection.indices.split(max(1, CHUNK // images[0].numel())):
            yield images[some].to(self.device)

    def _copy(self) -> Tensor:
        """Returns the selection's raw images on the device, where there is room for them once."""
        shape = self.selection.images.shape[1:]
        copy = torch.empty((len(self.selection), *shape), dtype=torch.uint8, device=self.device)
        done = 0
        for chunk in self._chunks():
            copy[done : done + len(chunk)] = chunk
            done += len(chunk)
        return copy

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
        for name in ("ready", "raw"):
            held = getattr(self, name)
            if held is not None:
                setattr(twin, name, held[chosen.to(held.device)])
        return twin

    def holding(self, ready: Tensor) -> Batches:
        """Returns batches of the same examples, with `ready`, (N, …), in the images' place.

        They go to the device from where `ready` lies: there, or on the host.
        """
        twin = copy.copy(self)
        twin.ready, twin.raw = ready, None
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
        # split() cuts the indices once an epoch; on an accelerator they go over in one piece
        there = order.to(self.device).split(self.batch_size * self.accumulate)
        held = self.raw if self.ready is None else self.ready
        on_host = held is None or held.device.type == "cpu"
        places = order.split(self.batch_size * self.accumulate) if on_host else there
        for step, (labelled, some) in enumerate(zip(there, places, strict=True)):
            images = self.gather(some)
            if self.change is not None:
                images = self.change(images, number, step)
            yield images, self.labels[labelled]

    def gather(self, places: Tensor) -> Tensor:
        """Returns the standardised images at `places` of the selection, on the device."""
        if self.ready is not None:
            return self.ready[places].to(self.device)
        if self.raw is not None:
            images = self.raw[places]
        else:
            images = self.selection.images[self.selection.indices[places]].to(self.device)
        standardised: Tensor = self.normalisation(images)
        return standardised


def room_on(device: torch.device) -> int:
    """Returns how many bytes of images to keep on an accelerator: half of what is free there."""
    if device.type != "cuda":
        return 0
    free, _ = torch.cuda.mem_get_info(device)
    return free // 2
