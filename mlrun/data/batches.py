"""Seeded batches by index, from tensors that lie ready on the device."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor

from mlrun.data.normalisation import Normalisation
from mlrun.data.randomness import generator
from mlrun.data.splits import Selection

READY_COPY = 512 * 2**20  # bytes: up to here a selection is kept as standardised float32


class Batches:
    """The images of one selection as batches of standardised float32 on the device.

    A selection whose float32 copy takes at most `READY_COPY` bytes is standardised once and
    kept on the device. A larger one is gathered as uint8 and standardised batch by batch, by
    the same formula, so the numbers do not depend on its size.

    Args:
        selection: which images.
        normalisation: on the device.
        batch_size: examples a batch.
        device: where the batches go.
        shuffle: a new order each epoch, drawn from (seed, epoch); else the selection's order.
        drop_last: leave out the last batch when it is short.
        seed: the run's seed.
    """

    def __init__(
        self,
        selection: Selection,
        normalisation: Normalisation,
        *,
        batch_size: int,
        device: torch.device,
        shuffle: bool = False,
        drop_last: bool = False,
        seed: int = 0,
    ) -> None:
        self.selection = selection
        self.normalisation = normalisation
        self.batch_size = batch_size
        self.device = device
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.seed = seed
        self.labels = selection.labels[selection.indices].to(device)
        self.ready: Tensor | None = None
        bytes_as_float = len(selection) * selection.images[0].numel() * 4
        if bytes_as_float <= READY_COPY:
            with torch.no_grad():
                self.ready = torch.cat(
                    [
                        normalisation(selection.images[some].to(device))
                        for some in selection.indices.split(4096)
                    ]
                )

    def in_order(self, batch_size: int) -> Batches:
        """Returns batches of the same images, not copied, all of them and in their order."""
        twin = copy.copy(self)
        twin.batch_size, twin.shuffle, twin.drop_last = batch_size, False, False
        return twin

    @property
    def examples(self) -> int:
        """How many examples one epoch sees."""
        count = len(self.selection)
        return count - count % self.batch_size if self.drop_last else count

    def __len__(self) -> int:
        return -(-self.examples // self.batch_size)

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields (images, labels) of epoch `number`: float32 (n, C, H, W) and int64 (n,)."""
        count = len(self.selection)
        if self.shuffle:
            order = torch.randperm(count, generator=generator(self.seed, "order", number))
        else:
            order = torch.arange(count)
        order = order[: self.examples]
        # split() cuts the indices once an epoch; on an accelerator they go over in one piece
        places = (order.to(self.device) if self.ready is not None else order).split(self.batch_size)
        for labelled, some in zip(
            order.to(self.device).split(self.batch_size), places, strict=True
        ):
            yield self.gather(some), self.labels[labelled]

    def gather(self, places: Tensor) -> Tensor:
        """Returns the standardised images at `places` of the selection, on the device."""
        if self.ready is not None:
            return self.ready[places]
        images = self.selection.images[self.selection.indices[places]]
        with torch.no_grad():
            batch: Tensor = self.normalisation(images.to(self.device, non_blocking=True))
            return batch
