"""Batches of one image, on which batch normalisation cannot train: told where one is reached."""

from __future__ import annotations

import pytest
import torch
from runs import QUICK

from mlrun.errors import MlrunError
from mlrun.machine.group import Group
from mlrun.machine.place import Place
from mlrun.preparing.prepared import prepare
from mlrun.settings.plan import plan_of

NORMED = {**QUICK, "model.batch_norm": True, "validation": "last:100"}
CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        ({"subset": 109, "batch_size": 4}, "add --drop-last true or change the batch size"),
        ({"subset": 109, "batch_size": 4, "steps": 3}, "add --drop-last true or change the batch"),
        ({"subset": 109, "batch_size": 1, "steps": 1}, "take a larger batch size"),
        ({"subset": 109, "batch_size": 1, "drop_last": True}, "take a larger batch size"),
        ({"subset": 109, "batch_size": 4, "accumulate": 2, "steps": 2}, "add --drop-last true"),
    ],
)
def test_one_that_is_reached_is_told_with_what_helps(
    home: object, given: dict[str, object], advice: str
) -> None:
    with pytest.raises(MlrunError, match=f"leaves a last batch of one image, .*; {advice}"):
        prepare(plan_of({**NORMED, **given}), CPU)


@pytest.mark.parametrize(
    "given",
    [
        {"subset": 109, "batch_size": 4, "steps": 2},
        {"subset": 109, "batch_size": 4, "epochs": 0},
        {"subset": 109, "batch_size": 1, "epochs": 0},
        {"subset": 109, "batch_size": 4, "accumulate": 2, "steps": 1},
        {"subset": 109, "batch_size": 4, "drop_last": True},
        {"subset": 109, "batch_size": 50, "drop_last": True, "epochs": 0},
    ],
)
def test_one_that_is_never_reached_stops_nothing(home: object, given: dict[str, object]) -> None:
    assert prepare(plan_of({**NORMED, **given}), CPU).procedure.steps in (0, 1, 2)


def test_a_batch_that_is_never_filled_is_told_with_what_helps(home: object) -> None:
    given = {"subset": 109, "batch_size": 50, "drop_last": True, "steps": 1}
    with pytest.raises(
        MlrunError, match="no batch of 9 training images; take a smaller batch_size"
    ):
        prepare(plan_of({**NORMED, **given}), CPU)


def test_what_only_evaluates_is_told_as_it_has_to_be_asked_for(home: object) -> None:
    frozen = {**QUICK, "part_lrs": "*=0"}
    with pytest.raises(MlrunError, match="; with epochs 0 it is only evaluated and drawn"):
        prepare(plan_of(frozen), CPU)
    with pytest.raises(MlrunError, match="; with epochs 0 and without steps it is only evaluated"):
        prepare(plan_of({**frozen, "epochs": 0, "steps": 3}), CPU)
    assert prepare(plan_of({**frozen, "epochs": 0}), CPU).procedure.steps == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"batch_size": 3},
            "batch_size 3 leaves one of 2 processes a single image, which batch normalisation "
            "cannot train on; add --sync-batch-norm true or take a batch size of at least 4",
        ),
        (
            {"batch_size": 4, "subset": 107},
            "batch_size 4 leaves a last batch of 3 images, of which one of 2 processes has one, "
            "which batch normalisation cannot train on; add --sync-batch-norm true or --drop-last",
        ),
        (
            {"batch_size": 4, "sync_batch_norm": True},
            "batch_size 4 leaves a last batch of one image, which batch normalisation cannot train "
            "on; add --drop-last true or change the batch size",
        ),
    ],
)
def test_one_that_a_process_has_for_its_share_is_told_with_what_helps(
    home: object, given: dict[str, object], message: str
) -> None:
    with pytest.raises(MlrunError, match=message):
        prepare(plan_of({**NORMED, "subset": 109, **given}), CPU, Group(Place(1, 2)))


@pytest.mark.parametrize(
    "given",
    [
        {"subset": 109, "batch_size": 3, "sync_batch_norm": True},
        {"subset": 107, "batch_size": 4, "sync_batch_norm": True},
        {"subset": 107, "batch_size": 4, "drop_last": True},
        {"subset": 107, "batch_size": 4, "steps": 1},
        {"subset": 108, "batch_size": 4},
        {"subset": 109, "batch_size": 3, "model.batch_norm": False},
    ],
)
def test_one_that_no_process_has_alone_stops_nothing(
    home: object, given: dict[str, object]
) -> None:
    assert prepare(plan_of({**NORMED, **given}), CPU, Group(Place(1, 2)))
