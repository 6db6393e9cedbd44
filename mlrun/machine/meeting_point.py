"""Where processes meet: a part of torchrun's store that they alone write.

torchrun keeps one store for all its starts of the processes. What those before wrote is still in
it, such as addresses at which nobody answers any more; so is what these wrote when they met before.
"""

from __future__ import annotations

import time
import uuid
from datetime import timedelta

from torch.distributed.distributed_c10d import PrefixStore, Store

LOOKS = 0.02  # seconds between two looks of rank 0 whether the others are there


def part_of_our_own(store: Store, rank: int, size: int, patience: timedelta) -> Store:
    """Returns a part of a store for these processes alone; each of them is to call it.

    Rank 0 gives it a name. The others knock under names of their own, and are told: so nobody
    takes what was told before for an answer.

    Raises:
        RuntimeError: the others did not come in time.
    """
    if not rank:
        return PrefixStore(welcomed(store, size, patience), store)
    knock = uuid.uuid4().hex
    store.set(f"mlrun/knock/{rank}", knock)
    store.wait([f"mlrun/answer/{knock}"], patience)
    name = store.get(f"mlrun/answer/{knock}").decode()
    store.set(f"{name}/here/{rank}", "yes")
    return PrefixStore(name, store)


def welcomed(store: Store, size: int, patience: timedelta) -> str:
    """Tells all other processes the name of their part of the store, and returns it."""
    name, missing = f"mlrun/{uuid.uuid4().hex}", set(range(1, size))
    deadline = time.monotonic() + patience.total_seconds()
    while missing:
        for rank in sorted(missing):
            if store.check([f"{name}/here/{rank}"]):
                missing.remove(rank)
            elif store.check([f"mlrun/knock/{rank}"]):
                knock = store.get(f"mlrun/knock/{rank}").decode()
                store.set(f"mlrun/answer/{knock}", name)
        if missing and time.monotonic() > deadline:
            raise RuntimeError(f"rank {min(missing)} did not come")
        time.sleep(LOOKS if missing else 0)
    return name
