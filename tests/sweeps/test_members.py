"""Which runs several seeds, or folds, stand for."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from runs import QUICK

from mlrun.errors import MlrunError
from mlrun.settings.plan import plan_of
from mlrun.sweeps.members import asked_again, folds_asked, seeds_asked


@pytest.mark.parametrize(
    ("seeds", "first", "expected"),
    [
        ("3", 0, [0, 1, 2]),
        ("2", 7, [7, 8]),
        (2, 7, [7, 8]),
        ("4,2,9", 0, [4, 2, 9]),
        ("0, 1", 0, [0, 1]),
        ("5,", 0, [5]),
        ([3], 0, [3]),
        ("1", 2**63 - 1, [2**63 - 1]),
    ],
)
def test_seeds_are_counted_from_that_of_the_settings_or_listed(
    seeds: str | int | Sequence[int], first: int, expected: list[int]
) -> None:
    asked = seeds_asked(plan_of({**QUICK, "seed": first}), seeds)
    assert [member.plan.settings.seed for member in asked.members] == expected
    assert [member.name for member in asked.members] == [f"seed {seed}" for seed in expected]
    again = asked_again(asked.kind, asked.numbers, asked.plan)
    assert [member.name for member in again.members] == [member.name for member in asked.members]


@pytest.mark.parametrize(
    "seeds",
    [
        "0",
        "-1",
        "x",
        "1.5",
        "1,1",
        "1,x",
        "1,,2",
        ",",
        "201",
        "1,-1",
        f"{2**63},1",
        [],
        [1, 1],
        [-1],
    ],
)
def test_what_are_no_seeds_is_refused(seeds: str | Sequence[int]) -> None:
    with pytest.raises(MlrunError, match="seeds: expected how many, 1 to 200, or different seeds"):
        seeds_asked(plan_of(QUICK), seeds)


def test_seeds_beyond_the_last_are_refused() -> None:
    with pytest.raises(MlrunError, match="seeds: expected how many"):
        seeds_asked(plan_of({**QUICK, "seed": 2**63 - 1}), 2)


def test_each_fold_is_what_one_run_validates_on() -> None:
    asked = folds_asked(plan_of(QUICK), "3")
    validations = [member.plan.settings.validation for member in asked.members]
    assert validations == ["fold:1/3", "fold:2/3", "fold:3/3"]
    assert asked_again(asked.kind, asked.numbers, asked.plan) == asked


@pytest.mark.parametrize("folds", ["1", "0", "x", "2,3", "201", 1])
def test_what_are_no_folds_is_refused(folds: str | int) -> None:
    with pytest.raises(MlrunError, match="folds: expected how many, 2 to 200"):
        folds_asked(plan_of(QUICK), folds)


def test_folds_beside_another_validation_are_refused() -> None:
    with pytest.raises(MlrunError, match=r"leave validation 0\.2 out"):
        folds_asked(plan_of({**QUICK, "validation": 0.2}), 3)


def test_several_processes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MlrunError, match="leave processes and torchrun out"):
        seeds_asked(plan_of({**QUICK, "processes": 2}), 2)
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    for name, value in {"LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "::1", "MASTER_PORT": "9"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(MlrunError, match="leave processes and torchrun out"):
        folds_asked(plan_of(QUICK), 2)
