"""How many steps rank 0 tells the other processes of at once."""

from __future__ import annotations

import pytest
from small_training import training

from mlrun.machine.group import Group
from mlrun.machine.place import Place
from mlrun.training.following import AT_ONCE, steps_at_once
from mlrun.training.state import TrainingState


def after(steps: int, seconds: float, processes: int = 2) -> TrainingState:
    """Where a training stands after so many steps of an epoch, which took so long."""
    state = training().state
    state.group = Group(Place(size=processes))
    state.tally.sizes += [8] * steps
    state.epoch_seconds = seconds
    return state


@pytest.mark.parametrize(
    ("steps", "seconds", "most", "told"),
    [
        (10, 10 * AT_ONCE / 4, 100, 4),  # as many as take that long
        (10, 10 * AT_ONCE / 4, 3, 3),  # an evaluation, or the end of the epoch, comes first
        (10, 10 * AT_ONCE * 5, 100, 1),  # a signal waits for the end of one that takes long
        (0, 0.0, 100, 1),  # nobody knows yet how long they take
    ],
)
def test_others_are_told_of_as_many_steps_as_take_a_moment(
    steps: int, seconds: float, most: int, told: int
) -> None:
    assert steps_at_once(after(steps, seconds), most) == told


def test_one_process_alone_goes_from_step_to_step() -> None:
    assert steps_at_once(after(10, AT_ONCE, processes=1), 100) == 1
