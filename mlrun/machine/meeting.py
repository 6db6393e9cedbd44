"""How several processes that train one run together meet, and part."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from mlrun.errors import MlrunError, one_line
from mlrun.machine.calls import answered
from mlrun.machine.distributed import SeveralProcesses
from mlrun.machine.group import Group
from mlrun.machine.interrupts import interruptible
from mlrun.machine.meeting_point import part_of_our_own
from mlrun.machine.place import Place

JOINING = timedelta(minutes=10)  # how long one waits for the others


@contextmanager
def meeting(place: Place) -> Iterator[Group]:
    """Meets the other processes, and leaves them afterwards; see `running.together.joined`."""
    if dist.is_initialized():
        raise MlrunError(
            "torch.distributed is set up already; mlrun sets it up itself: call mlrun.train before "
            "init_process_group, or in another process"
        )
    where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
    hook = sys.excepthook  # torch puts one in front of it each time
    try:
        with interruptible():
            group = answered(lambda: met(place))
    except (RuntimeError, ValueError) as error:
        raise MlrunError(
            f"rank {place.rank} of {place.size} could not meet the others at {where} "
            f"({one_line(error)}); were all of them started?"
        ) from error
    try:
        yield group
    except BaseException as error:
        group.let_go(error)
        raise
    finally:
        with suppress(Exception):  # of a group in which one has gone
            dist.destroy_process_group()
        group.forget()
        sys.excepthook = hook


def met(place: Place) -> SeveralProcesses:
    """Returns the group of this process and the others, once all are there."""
    shared, rank, size = next(rendezvous("env://", timeout=JOINING))
    store = part_of_our_own(shared, rank, size, JOINING)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=size, timeout=JOINING)
    present = torch.ones(1)
    dist.all_reduce(present)
    if (dist.get_world_size(), present.item()) != (place.size, place.size):
        raise MlrunError(
            f"WORLD_SIZE is {place.size}, and {present.item():g} processes are there; expected "
            "as many"
        )
    return SeveralProcesses(place, store)
