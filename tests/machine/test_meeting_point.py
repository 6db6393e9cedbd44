"""Processes meet in a part of a store in which earlier ones have left what they wrote."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from torch.distributed import HashStore

from mlrun.machine.meeting_point import part_of_our_own

PATIENCE = timedelta(seconds=60)


def met(store: HashStore, size: int) -> list[str]:
    """What each rank reads that rank 0 wrote where they met."""

    def take_part(rank: int) -> str:
        part = part_of_our_own(store, rank, size, PATIENCE)
        if not rank:
            part.set("address", f"of meeting {store.add('meetings', 1)}")
        text: str = part.get("address").decode()
        return text

    with ThreadPoolExecutor(size) as threads:
        return list(threads.map(take_part, range(size)))


def test_those_who_meet_again_read_nothing_that_was_written_before() -> None:
    store = HashStore()
    assert [met(store, 3) for _ in range(3)] == [[f"of meeting {n}"] * 3 for n in (1, 2, 3)]


def test_one_that_knocked_and_died_before_is_not_taken_for_its_successor() -> None:
    store = HashStore()
    store.set("mlrun/knock/1", "of one that is gone")
    assert met(store, 2) == ["of meeting 1"] * 2


def test_rank_0_gives_up_those_who_do_not_come() -> None:
    with pytest.raises(RuntimeError, match="rank 1 did not come"):
        part_of_our_own(HashStore(), 0, 2, timedelta())
