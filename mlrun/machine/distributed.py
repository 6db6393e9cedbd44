"""Several processes that train one run together, over torch.distributed."""

from __future__ import annotations

import gc
import io
import os
import socket
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from mlrun.errors import MlrunError, contained, one_line
from mlrun.machine.group import Group
from mlrun.machine.interrupts import interruptible, undisturbed
from mlrun.machine.place import Place
from mlrun.machine.shortages import chain, shortage

T = TypeVar("T")

BACKENDS = {"cuda": "nccl", "xpu": "xccl", "cpu": "gloo"}
PATIENCE = timedelta(days=30)  # how long one waits for the first, which may draw for hours
ANSWER = timedelta(minutes=30)  # how long tensors of a step are waited for; torch's own default
WORD = 8  # numbers in a message
LAST_WORDS = 3.0  # seconds that the reason of one which failed is waited for


class SeveralProcesses(Group):
    """A group of more than one process, over torch.distributed, which has been set up.

    Args:
        place: of this process.
        store: which all processes read and write.
    """

    def __init__(self, place: Place, store: Any) -> None:
        super().__init__(place)
        self._store = store
        self._left = False  # in the middle of what it does with the others
        self._words: Any = dist.new_group(backend="gloo", timeout=PATIENCE)  # what lies on the CPU
        self._hosts = self.gather((socket.gethostname(), os.getpid()))

    def use(self, device: torch.device) -> None:
        """Sets up the exchange of tensors between devices of one kind; see `Group.use`."""
        kinds = self.gather(device.type)
        if len(set(kinds)) > 1:
            text = ", ".join(f"{self.name(rank)} has {kind}" for rank, kind in enumerate(kinds))
            raise self.known_to_all(f"all processes are to train on one kind of device; {text}")
        kind = BACKENDS.get(device.type)
        if kind is None:
            raise self.known_to_all(
                f"several processes cannot train on {device.type} together; take --device cpu, or "
                "--processes 1"
            )
        if device.type != "cpu":
            torch.accelerator.set_device_index(device)
        self.tensors = dist.new_group(backend=kind, timeout=ANSWER)

    def forget(self) -> None:
        """Lets go of torch's process groups, whose end must come before that of the interpreter."""
        self.tensors = self._words = self._store = None

    def tell(self, *numbers: float) -> None:
        """Sends numbers to those who wait in `hear`; raises where they wait for something else."""
        with self.telling(*numbers):
            pass

    @contextmanager
    def telling(self, *numbers: float) -> Iterator[None]:
        """Sends numbers to those who wait in `hear`; see `Group.telling`."""
        if self._left:
            raise MlrunError("the other processes were left in the middle of what they do with it")
        self._left = True  # a signal that comes meanwhile is raised once they have heard
        if not self.rank:
            word = torch.zeros(WORD, dtype=torch.float64)
            word[: len(numbers)] = torch.tensor(numbers, dtype=torch.float64)
            dist.broadcast(word, 0, group=self._words)
        yield
        self._left = False

    def hear(self) -> list[float]:
        """Returns the numbers that rank 0 tells next."""
        word = torch.empty(WORD, dtype=torch.float64)
        dist.broadcast(word, 0, group=self._words)
        return word.tolist()

    def share(self, value: T) -> T:
        """Returns rank 0's value on every rank, by way of a file of torch that holds data alone."""
        packed = io.BytesIO()
        if not self.rank:
            torch.save(value, packed)
        size = torch.tensor(len(packed.getvalue()))
        with undisturbed():  # one without the other would be taken for what comes next
            dist.broadcast(size, 0, group=self._words)
            data = torch.frombuffer(bytearray(packed.getvalue() or int(size)), dtype=torch.uint8)
            dist.broadcast(data, 0, group=self._words)
        if not self.rank:
            return value
        loaded: T = torch.load(
            io.BytesIO(data.numpy().tobytes()), weights_only=True, map_location="cpu"
        )
        return loaded

    def spread(self, tensors: Sequence[Tensor]) -> None:
        """Copies rank 0's tensors into the others', those of one type in one piece."""
        for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
            some = [tensor for tensor in tensors if tensor.dtype == dtype]
            flat = torch.cat([tensor.detach().reshape(-1) for tensor in some])
            dist.broadcast(flat, 0, group=self.tensors)
            if self.rank:
                with torch.no_grad():
                    parts = flat.split([tensor.numel() for tensor in some])
                    for tensor, part in zip(some, parts, strict=True):
                        tensor.copy_(part.view_as(tensor))

    def stack(self, tensor: Tensor) -> Tensor:
        """Returns all ranks' tensors on every rank; see `Group.stack`."""
        gathered = tensor.new_empty(self.size, *tensor.shape)
        dist.all_gather(list(gathered.unbind()), tensor, group=self.tensors)
        return gathered

    def sum(self, tensor: Tensor) -> Tensor:
        """Returns the sum over all ranks on every rank."""
        dist.all_reduce(tensor, group=self.tensors)
        return tensor

    def send(self, *tensors: Tensor) -> None:
        """Sends tensors to rank 0."""
        for tensor in tensors:
            dist.send(tensor.contiguous(), 0, group=self._words)

    def receive(self, rank: int, tensor: Tensor) -> None:
        """Fills a tensor with the next that a rank sends."""
        dist.recv(tensor, rank, group=self._words)

    @contextmanager
    def agreeing(self) -> Iterator[None]:
        """Raises on every rank what any raises: MlrunError on rank 0, LedElsewhere on others."""
        raised: BaseException | None = None
        try:
            with contained(), interruptible():
                yield
        except BaseException as error:
            raised = error
        reason = "" if raised is None else str(raised) or one_line(raised)
        reasons = self.gather(reason)
        first = next((rank for rank, text in enumerate(reasons) if text), None)
        if first is None:
            return
        if isinstance(raised, KeyboardInterrupt) or (raised is not None and not self.rank):
            raise raised
        text = f"{self.name(first)}: {reasons[first]}"
        raise self.known_to_all(text)

    @contextmanager
    def one_on_this_host_first(self) -> Iterator[None]:
        """Has others of a host wait for the end of its first process's block."""
        key = f"went-first/{self.rank - self.place.local_rank}"
        while self.place.local_rank and not self._store.check([key]):
            time.sleep(0.05)
        try:
            yield
        finally:
            if not self.place.local_rank:
                self._store.set(key, "yes")

    def name(self, rank: int) -> str:
        """Returns what a rank is called in messages, with its host and process."""
        host, process = self._hosts[rank]
        return f"rank {rank} (process {process} on {host})"

    def give_up(self, error: BaseException) -> bool:
        """Leaves the reason why this rank fails, and then where, for rank 0, which misses it."""
        reason = str(shortage(error) or one_line(error))
        with suppress(Exception):  # the store has gone with rank 0
            where = "".join(traceback.format_exception(error))
            self._store.set(f"failed/{self.rank}", f"{reason}\n{where}")
            return True
        return False

    def failure(self, error: BaseException) -> MlrunError | None:
        """Looks whether another rank left a reason, or its process on this host is gone."""
        lost = is_lost_connection(error)
        if not lost and not isinstance(error, KeyboardInterrupt):
            return None
        deadline = time.monotonic() + (LAST_WORDS if lost else 0)
        while True:
            for rank in range(1, self.size):
                if words := self._last_words(rank):
                    reason, _, where = words.partition("\n")
                    failed = MlrunError(f"{self.name(rank)} failed: {reason}")
                    failed.add_note(f"There:\n{where}")
                    return failed
            for rank in range(1, self.size):
                if self._is_gone(rank):
                    return MlrunError(f"{self.name(rank)} has ended without a word: was it killed?")
            if time.monotonic() >= deadline:
                break
            time.sleep(0.1)
        if not lost:
            return None
        return MlrunError(f"another process can no longer be reached ({one_line(error)})")

    def _last_words(self, rank: int) -> str:
        """Returns the reason that a rank left, a line, and its traceback; "" where it left none."""
        with suppress(Exception):
            if self._store.check([f"failed/{rank}"]):
                return str(self._store.get(f"failed/{rank}").decode())
        return ""

    def _is_gone(self, rank: int) -> bool:
        """Whether a rank of this host has no process any more."""
        import psutil

        host, process = self._hosts[rank]
        if host != socket.gethostname():
            return False
        with suppress(psutil.Error):
            return bool(psutil.Process(process).status() == psutil.STATUS_ZOMBIE)
        return True

    def let_go(self, error: BaseException) -> None:
        """Closes the connections to the others, who wait for this rank as long as they last.

        They last as long as anything holds them, such as the frames that an error came through.
        """
        for link in chain(error):
            traceback.clear_frames(link.__traceback__)
        self._words = self.tensors = None
        gc.collect()

    def gather(self, value: T) -> list[T]:
        """Returns every rank's value, by rank, on every rank."""
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value, group=self._words)
        return values


def is_lost_connection(error: BaseException) -> bool:
    """Whether an error says that another process could not be reached, as gloo and NCCL say it."""
    named = isinstance(error, dist.DistError)
    return named or (isinstance(error, RuntimeError) and "gloo" in str(error).lower())
