"""The examples of one selection: where they lie, and how they come to the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mlrun.data.normalisation import Normalisation
from mlrun.data.readahead import Readahead, readahead_of
from mlrun.data.splits import Selection

CHUNK = 64 * 2**20  # bytes of images that are copied to an accelerator at once
DEFAULT_ROOM = 512 * 2**20  # bytes to keep on an accelerator that does not say what is free there


@dataclass(frozen=True, eq=False)
class ExampleStore:
    """The examples of one selection, that batches are gathered from; made by `of`.

    They lie as bytes and are standardised batch by batch: that takes no longer than to gather
    floats, which are four times as many bytes, and a data set needs no second place in memory.
    An accelerator gets a copy of its own, if it takes at most half of its free memory.

    selection: which images.
    normalisation: on the device.
    device: where the examples go.
    labels: int64 (N,), on the device.
    source: what they are gathered from: uint8 (M, C, H, W), or features in their place (N, …).
    rows: int64 (N,), where each example lies in `source`; on its device.
    standardised: whether `source` goes out as it is.
    readahead: reads rows of `source` beforehand, where it is mapped from a file.
    """

    selection: Selection
    normalisation: Normalisation
    device: torch.device
    labels: Tensor
    source: Tensor
    rows: Tensor
    standardised: bool = False
    readahead: Readahead | None = None

    @classmethod
    def of(
        cls, selection: Selection, normalisation: Normalisation, device: torch.device
    ) -> ExampleStore:
        """Returns the store of a selection's images, with a copy on the device if it has room."""
        labels = selection.labels[selection.indices].to(device)
        if len(selection) * selection.images[0].numel() <= room_on(device):
            source, rows = copied(selection, device), torch.arange(len(selection), device=device)
            return cls(selection, normalisation, device, labels, source, rows)
        source, rows = selection.images, selection.indices
        ahead = readahead_of(source)
        return cls(selection, normalisation, device, labels, source, rows, readahead=ahead)

    def __len__(self) -> int:
        return len(self.selection)

    def only(self, places: Sequence[int]) -> ExampleStore:
        """Returns the store of the examples at `places` of the selection, in that order."""
        index = torch.as_tensor(places, dtype=torch.int64)
        return replace(
            self,
            selection=replace(self.selection, indices=self.selection.indices[index]),
            labels=self.labels[index.to(self.labels.device)],
            rows=self.rows[index.to(self.rows.device)],
        )

    def holding(self, features: Tensor) -> ExampleStore:
        """Returns the store of the same examples with `features`, (N, …), in the images' place.

        They go to the device from where they lie: there, or on the host.
        """
        rows = torch.arange(len(features), device=features.device)
        return replace(self, source=features, rows=rows, standardised=True, readahead=None)

    def gather(self, places: Tensor) -> Tensor:
        """Returns the standardised images at `places` of the selection, on the device."""
        return self.take(self.rows[places.to(self.rows.device)])

    def take(self, rows: Tensor) -> Tensor:
        """Returns what lies in these rows of the source, ready for the model, on the device."""
        # index_select copies whole rows: half the time of source[rows]
        taken = self.source.index_select(0, rows).to(self.device)
        if self.standardised:
            return taken
        images: Tensor = self.normalisation(taken)
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
    return 0 if device.type == "cpu" else DEFAULT_ROOM
