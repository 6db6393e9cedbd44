"""Callbacks: told in order how a training goes on, and heard where one stops it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from small_training import (
    Recorder,
    evaluate_part,
    procedure_of,
    training,
)
from torch import nn

from mlrun.training.callbacks import Callback, Epoch, Length
from mlrun.training.evaluation import Evaluation
from mlrun.training.loop import fit
from mlrun.training.reports import TrainingFailed
from mlrun.training.state import TrainingState
from mlrun.training.tally import Tally


def test_callbacks_are_told_in_order_how_the_training_goes_on() -> None:
    calls: list[str] = []

    class First(Callback):
        def on_train_begin(self, state: TrainingState, length: Length) -> None:
            calls.append(f"begin {length.steps} {length.steps_per_epoch} {length.examples}")

        def on_step_end(self, state: TrainingState, tally: Tally) -> None:
            calls.append(f"step {state.step}")

        def on_epoch_end(self, state: TrainingState, epoch: Epoch) -> None:
            calls.append(f"epoch {epoch.number} {sorted(epoch.evaluations)} last {epoch.last}")
            assert epoch.monitored == dict(state.history["val/loss"])[epoch.number]
            assert {n: s[-1][1] for n, s in state.history.items() if n in epoch.metrics} == dict(
                epoch.metrics
            )

        def on_train_end(self, state: TrainingState) -> None:
            calls.append("end")

    class Second(Callback):
        def on_epoch_end(self, state: TrainingState, epoch: Epoch) -> None:
            calls.append("second")

    done = training(epochs=1)
    fit(done.state, done.batches, procedure_of(done), [First(), Second()], evaluate_part)
    assert calls == [
        "begin 3 3 70",
        "epoch 0 ['train', 'val'] last False",
        "second",
        "step 1",
        "step 2",
        "step 3",
        "epoch 1 ['val'] last True",
        "second",
        "end",
    ]


def test_a_callback_can_stop_the_training_and_a_divergence_is_told_before_it_fails() -> None:
    class Stop(Callback):
        def on_epoch_end(self, state: TrainingState, epoch: Epoch) -> None:
            state.stopped = "enough" if epoch.number == 1 else ""

    done = training(epochs=5)
    fit(done.state, done.batches, procedure_of(done), [Stop()])
    assert (done.state.epoch, done.state.stopped) == (1, "enough")

    def infinite(model: nn.Module, part: str) -> Evaluation:
        return replace(evaluate_part(model, part), loss=math.inf)

    diverging = training(epochs=5)
    diverging.evaluate = infinite
    with pytest.raises(TrainingFailed, match="the validation loss is inf after epoch 1"):
        diverging.run()
    assert len(diverging.recorder.epochs) == 1
    assert math.isnan(diverging.state.patience.best)


def test_an_epoch_that_a_callback_stops_is_evaluated_though_it_was_not_its_turn() -> None:
    class Stop(Callback):
        def on_epoch_end(self, state: TrainingState, epoch: Epoch) -> None:
            if epoch.number == 1:
                state.stopped = "enough"

    done = training(epochs=5, evaluate_every=2)
    recorder = Recorder()
    fit(done.state, done.batches, procedure_of(done), [Stop(), recorder], evaluate_part)
    assert (done.state.epoch, done.state.stopped) == (1, "enough")
    before, after = recorder.epochs
    assert set(after) == {"val/loss", "val/accuracy"}
    assert not set(before) & set(after)
    assert [epoch for epoch, _ in done.state.history["val/loss"]] == [0, 1]
