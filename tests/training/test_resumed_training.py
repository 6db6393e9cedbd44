"""A training that is broken off between any two steps goes on bit for bit as if it had not been."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_training import Recorder, Training, evaluate_part, network, training
from torch import nn

from mlrun.training.callbacks import Callback, Epoch
from mlrun.training.checkpoints import digest
from mlrun.training.evaluation import Evaluation
from mlrun.training.loop import fit
from mlrun.training.state import TrainingState
from mlrun.training.state_files import SavedStates, last_state
from mlrun.training.tally import Tally

SETTINGS: dict[str, object] = {
    "epochs": 4,
    "optimiser": "adam",
    "schedule": "plateau",
    "schedule_patience": 0,
    "early_stopping": 3,
    "ema": 0.9,
    "mixup": 1,
    "clip_norm": 1,
    "evaluate_every": "2 steps",
    "evaluate_train": True,
}
WALL_CLOCK = ("examples_per_second", "epoch_seconds")


class Breaker(Callback):
    """Counts the moments at which an interrupt may come, and interrupts at one of them."""

    def __init__(self, moment: int) -> None:
        self.moments, self.moment = 0, moment

    def pass_one(self, what: object = None) -> None:
        self.moments += 1
        if self.moments - 1 == self.moment:
            raise KeyboardInterrupt

    def on_step_end(self, state: TrainingState, tally: Tally) -> None:
        self.pass_one()

    def on_epoch_end(self, state: TrainingState, epoch: Epoch) -> None:
        self.pass_one()

    def evaluate(self, model: nn.Module, part: str) -> Evaluation:
        self.pass_one()
        return evaluate_part(model, part)


def fresh(**changed: object) -> Training:
    return training(network(0.5), **{**SETTINGS, **changed})


def trained(one: Training, *callbacks: Callback, evaluate: object = evaluate_part) -> Training:
    from small_training import procedure_of

    fit(one.state, one.batches, procedure_of(one), callbacks, evaluate)  # type: ignore[arg-type]  # a function
    return one


def figures(state: TrainingState) -> dict[str, list[tuple[int, float]]]:
    series = {**state.history, **state.steps}
    return {name: list(pairs) for name, pairs in series.items() if name not in WALL_CLOCK}


def weights(state: TrainingState) -> list[str]:
    return [digest(model.state_dict()) for model in (state.model, state.evaluated)]


def broken_off(moment: int, folder: Path, **changed: object) -> Training | None:
    """A training that went on after an interrupt; None where there is no such moment."""
    first, breaker = fresh(**changed), Breaker(moment)
    try:
        trained(first, breaker, evaluate=breaker.evaluate)
    except KeyboardInterrupt:
        states = SavedStates(folder)
        states.write(first.state.state_dict())
        states.confirm()
        torch.rand(99)  # the world goes on in between
        second = fresh(**changed)
        state = last_state(folder, pytest.fail)
        assert state is not None
        if first.state.step:  # else nothing was trained, and it begins again
            second.state.load_state_dict(state)
        return trained(second)
    return None


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({}, marks=pytest.mark.slow),
        pytest.param({"steps": 10, "accumulate": 2}, marks=pytest.mark.slow),
        {"steps": 7},
    ],
)
def test_a_training_that_is_broken_off_at_any_moment_ends_where_it_would_have(
    changed: dict[str, object], tmp_path: Path
) -> None:
    whole = trained(fresh(**changed)).state
    moment = 0
    while (again := broken_off(moment, tmp_path, **changed)) is not None:
        state = again.state
        assert weights(state) == weights(whole), moment
        assert (state.epoch, state.step, state.stopped) == (whole.epoch, whole.step, whole.stopped)
        assert figures(state) == figures(whole), moment
        moment += 1
    assert moment > 15


def test_an_epoch_that_was_cut_short_goes_on_inside() -> None:
    whole = trained(fresh(early_stopping=0)).state
    first = trained(fresh(early_stopping=0, steps=7)).state
    assert (first.epoch, first.step) == (3, 7)
    assert first.cut is not None
    assert first.cut.sizes == [32]
    assert whole.cut is None


def test_the_time_that_was_spent_before_counts() -> None:
    first = fresh()
    again = training(network(0.5), **{**SETTINGS, "time_limit": 1})
    again.state.load_state_dict({**first.state.state_dict(), "seconds": 61.0})
    state = trained(again).state
    assert (state.step, state.stopped) == (1, "time limit of 1 minutes")


def test_a_damaged_state_is_named_and_the_one_before_it_used(tmp_path: Path) -> None:
    states, told = SavedStates(tmp_path), []
    for step in (1, 2):
        states.write({"step": step, "weights": torch.arange(1000.0) + step})
        states.confirm()
    content = bytearray((tmp_path / "last.pt").read_bytes())
    content[2000] ^= 1
    (tmp_path / "last.pt").write_bytes(content)
    state = last_state(tmp_path, told.append)
    assert state is not None
    assert state["step"] == 1
    assert told == [f"the state {tmp_path}/last.pt is damaged (its SHA-256 is another)"]
    (tmp_path / "previous.pt").write_bytes(b"")
    assert last_state(tmp_path, told.append) is None
    assert "previous.pt is damaged (" in told[-1]


def test_a_state_that_is_written_counts_once_it_is_confirmed(tmp_path: Path) -> None:
    states = SavedStates(tmp_path)
    states.write({"step": 1})
    assert last_state(tmp_path, pytest.fail) is None
    states.confirm()
    states.write({"step": 2})
    state = last_state(tmp_path, pytest.fail)
    assert state == {"step": 1}


def test_a_recorder_is_told_each_step_once() -> None:
    first = fresh(steps=5, evaluate_every="1")
    recorder = Recorder()
    trained(first, recorder)
    assert [step for step, *_ in recorder.steps] == [1, 2, 3, 4, 5]
