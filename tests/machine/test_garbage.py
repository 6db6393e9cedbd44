"""Python's search for garbage during a run: only among what the run made."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from runs import QUICK, Recorder

import mlrun


class Witness(Recorder):
    """Notes after each epoch how many objects are left out of the search."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen: list[int] = []

    def epoch(self, *told: object) -> None:
        self.frozen.append(gc.get_freeze_count())


@pytest.fixture
def thawed() -> Iterator[None]:
    gc.unfreeze()
    yield
    gc.unfreeze()


def test_what_was_there_before_a_run_is_left_out_until_it_ends(store: str, thawed: None) -> None:
    gc.collect()
    before = len(gc.get_objects())
    witness = Witness()
    mlrun.train(QUICK, progress=witness)
    assert min(witness.frozen) > before
    assert gc.get_freeze_count() == 0
    with pytest.raises(mlrun.RunFailed):
        mlrun.train({**QUICK, "optimiser": "sgd", "lr": 1e30}, progress=witness)
    assert gc.get_freeze_count() == 0


def test_what_somebody_froze_stays_frozen(store: str, thawed: None) -> None:
    gc.freeze()
    frozen = gc.get_freeze_count()
    mlrun.train(QUICK)
    assert gc.get_freeze_count() > 0.9 * frozen  # some are given back, as always
