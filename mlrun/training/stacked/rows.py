"""Tensors of several models as the rows of one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Rows:
    """Tensors of K models, stacked; until they are given back, each is a view of its row.

    So whatever looks at a model, its optimiser or its average in between sees how they stand.
    """

    def __init__(self) -> None:
        self._lent: list[tuple[Tensor, Tensor]] = []

    def stack(self, tensors: Sequence[Tensor]) -> Tensor:
        """Returns K tensors of one shape as one, (K, …), whose rows they are from then on."""
        stacked = torch.stack([tensor.detach() for tensor in tensors])
        for place, tensor in enumerate(tensors):
            self._lent.append((tensor, tensor.data))
            tensor.data = stacked[place]
        return stacked

    def give_back(self) -> None:
        """Has each tensor lie where it lay before, with the values that it has now."""
        for tensor, before in self._lent:
            tensor.data = before.copy_(tensor.data)
        self._lent.clear()
