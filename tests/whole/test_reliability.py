"""What is lost when stores, disks and processes fail: the short form of docs/reliability.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.reliability.stage import Outcome, Scale
from benchmarks.reliability.tries import Tries, tried

pytestmark = pytest.mark.slow

SHORT = Scale(seconds=0.1, sync_wait=1.0)
FAULTS = [
    "server-absent",
    "server-rejects-put",
    "server-emptied",
    "password-by-address",
    "sqlite-locked-at-the-start",
    "sqlite-locked",
    "sqlite-read-only",
    "state-disk-full",
    "sender-dies",
    "run-killed",
    "worker-killed-under-torchrun",
    "run-hung-up",
    "run-terminated-twice",
    "launcher-killed",
    "renderer-stopped",
    "two-runs-in-a-process",
    "clock-jumps",
    "postgresql-crashes",
    "postgresql-read-only",
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reliability")


@pytest.mark.parametrize("number", range(30))
def test_a_run_that_is_killed_at_any_moment_is_resumed_to_the_same(
    number: int, place: Path
) -> None:
    outcome = tried("run-killed-and-resumed", place, SHORT, number)
    assert isinstance(outcome, Outcome)
    assert Tries("run-killed-and-resumed", [outcome]).held, outcome


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_lost_and_nothing_is_doubled(fault: str, place: Path) -> None:
    outcome = tried(fault, place, SHORT)
    if not isinstance(outcome, Outcome):
        pytest.skip(outcome)
    assert Tries(fault, [outcome]).held, Tries(fault, [outcome]).as_text()
