"""The processes that train one run together: what each can do; here, of one that is alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

import torch
from torch import Tensor

from mlrun.errors import LedElsewhere, MlrunError
from mlrun.machine.place import ALONE_HERE, Place

T = TypeVar("T")
NOTHING_TOLD = nullcontext()


class Group:
    """The processes that train one run together; rank 0 leads, the others do what it tells them.

    Where there is one process alone, nothing is sent, and nothing waits.

    rank: of this process, from 0. size: how many there are.
    tensors: torch's process group for tensors of the training; None for one process alone.
    """

    tensors: Any = None

    def __init__(self, place: Place = ALONE_HERE) -> None:
        self.place, self.rank, self.size = place, place.rank, place.size

    def use(self, device: torch.device) -> None:
        """Has tensors of the training go from device to device.

        Raises:
            MlrunError: those of its kind cannot.
        """

    def rows(self, count: int, rank: int | None = None) -> range:
        """Returns which of `count` rows are this rank's, or another's; the first get one more."""
        rank = self.rank if rank is None else rank
        each, more = divmod(count, self.size)
        start = rank * each + min(rank, more)
        return range(start, start + each + (rank < more))

    def tell(self, *numbers: float) -> None:
        """Sends the others, who wait in `hear`, up to eight numbers; rank 0 alone does so."""

    def telling(self, *numbers: float) -> AbstractContextManager[None]:
        """Tells the others what they do while rank 0 goes through the block.

        Rank 0 can tell them nothing more once it left such a block before its end, be it for a
        signal: they wait for what it did not do.
        """
        return NOTHING_TOLD

    def hear(self) -> list[float]:
        """Returns the eight numbers that rank 0 tells next."""
        raise MlrunError("one process alone has nobody to hear")

    def share(self, value: T) -> T:
        """Returns rank 0's value, on every rank; numbers, texts, tensors and lists of them."""
        return value

    def spread(self, tensors: Sequence[Tensor]) -> None:
        """Copies rank 0's tensors, on the device, into the others'."""

    def stack(self, tensor: Tensor) -> Tensor:
        """Returns all ranks' tensors, on the device, as one (size, …), on every rank."""
        return tensor[None]

    def sum(self, tensor: Tensor) -> Tensor:
        """Returns the sum of all ranks' tensors, on the device, on every rank."""
        return tensor

    def send(self, *tensors: Tensor) -> None:
        """Sends tensors on the CPU to rank 0, who calls `receive` for each."""

    def receive(self, rank: int, tensor: Tensor) -> None:
        """Fills a tensor on the CPU with the next that `rank` sends; rank 0 alone does so."""

    def gather(self, value: T) -> list[T]:
        """Returns every rank's value, by rank, on every rank; plain values."""
        return [value]

    def name(self, rank: int) -> str:
        """Returns what a rank is called in messages."""
        return f"rank {rank}"

    def known_to_all(self, reason: str) -> MlrunError:
        """Returns the error for what every rank has found by itself, of which rank 0 is to tell."""
        return LedElsewhere(reason) if self.rank else MlrunError(reason)

    @contextmanager
    def agreeing(self) -> Iterator[None]:
        """Raises on every rank what any rank raises in the block."""
        yield

    @contextmanager
    def one_on_this_host_first(self) -> Iterator[None]:
        """Has the first process of each host go through the block before the others of it."""
        yield

    def give_up(self, error: BaseException) -> bool:
        """Leaves the reason why this rank fails for rank 0; returns whether that has it."""
        return False

    def failure(self, error: BaseException) -> MlrunError | None:
        """Returns which other rank failed and why, or is gone, where that is behind an error."""
        return None


ALONE = Group()
