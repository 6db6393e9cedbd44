"""Python's search for garbage during a run: only among what the run made."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from runs import QUICK, Recorder

import mlrun


class Witness(Recorder):
    """Notes after each epoch whether an object from before is among what is searched."""

    def __init__(self, old: object) -> None:
        super().__init__()
        self.old = old
        self.searched: list[bool] = []

    def epoch(self, *told: object) -> None:
        self.searched.append(any(one is self.old for one in gc.get_objects()))


@pytest.fixture
def thawed() -> Iterator[None]:
    gc.unfreeze()
    yield
    gc.unfreeze()


def test_what_was_there_before_a_run_is_left_out_until_it_ends(store: str, thawed: None) -> None:
    old: list[object] = [[]]  # a container of a container: one that Python tracks
    witness = Witness(old)
    mlrun.train(QUICK, progress=witness)
    assert witness.searched == [False] * len(witness.searched)
    assert witness.searched
    assert gc.get_freeze_count() == 0
    with pytest.raises(mlrun.RunFailed):
        mlrun.train({**QUICK, "optimiser": "sgd", "lr": 1e30}, progress=witness)
    assert gc.get_freeze_count() == 0


def test_what_somebody_froze_stays_frozen(store: str, thawed: None) -> None:
    old: list[object] = [[]]
    gc.freeze()
    mlrun.train(QUICK)
    assert gc.get_freeze_count()
    assert not any(one is old for one in gc.get_objects())
