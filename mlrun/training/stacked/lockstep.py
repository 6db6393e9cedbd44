"""The training loop of several models at once."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mlrun.machine import interrupts
from mlrun.machine.devices import synchronise
from mlrun.training.callbacks import Callback, Length
from mlrun.training.evaluation import set_training_mode
from mlrun.training.loop import means
from mlrun.training.reports import (
    end_epoch,
    evaluate_between,
    evaluate_untrained,
    was_evaluated,
)
from mlrun.training.stacked.batched_step import StackedStep
from mlrun.training.stacked.gathering import StackedBatches
from mlrun.training.stacked.hindrance import check
from mlrun.training.stacked.member import Member
from mlrun.training.stacked.rows import Rows
from mlrun.training.stacked.tallies import StackedTally

Failures = dict[int, Exception]  # by the place of the member


def fit_together(members: Sequence[Member]) -> Failures:
    """Trains each member as `fit` would, all in step; returns what it would have raised, by place.

    A member that fails, or stops early, leaves the others to go on. What it logs of speed is that
    of all: an epoch takes each as long as it takes all.

    Raises:
        MlrunError: they cannot be trained as one: `hindrance` says why.
        KeyboardInterrupt: as `fit` raises it, of all states.
    """
    check(members)
    failures: Failures = {}
    began = [time.perf_counter() - member.state.seconds for member in members]
    for place, member in enumerate(members):
        with kept(failures, place):
            begin(member)
    while left := [p for p, m in enumerate(members) if p not in failures and m.goes_on]:
        running = [members[place] for place in left]
        seconds, lost = train_epoch(running, [began[place] for place in left])
        failures |= {left[place]: error for place, error in lost.items()}
        for place in [] if lost else left:  # the others take up the epoch where it stands
            with kept(failures, place):
                end(members[place], seconds)
    for place, member in enumerate(members):
        if place not in failures:
            with kept(failures, place):
                for callback in member.callbacks:
                    callback.on_train_end(member.state)
    return failures


@contextmanager
def kept(failures: Failures, place: int) -> Iterator[None]:
    """Files an error of the block as that of the member at `place`."""
    try:
        yield
    except Exception as error:
        failures[place] = error


def begin(member: Member) -> None:
    """Begins a member's training, as `fit` does."""
    state, batches, procedure, callbacks, evaluate = member
    length = Length(procedure.steps, len(batches), batches.examples)
    for callback in callbacks:
        callback.on_train_begin(state, length)
    if evaluate is not None and not state.step:
        evaluate_untrained(state, procedure, callbacks, evaluate)
    set_training_mode(state.model)


def end(member: Member, seconds: float) -> None:
    """Ends an epoch of a member whose steps took so long in this process, as `fit` does."""
    state, batches, procedure, callbacks, evaluate = member
    tally = state.tally
    figures = means(tally, state.epoch + 1, state.schedule.rates[0])
    if procedure.evaluate_train:
        figures = {}
    figures |= state.schedule.figures()
    speed = {"examples_per_second": sum(tally.sizes) / seconds, "epoch_seconds": seconds}
    with state.ending_epoch():
        if len(tally.sizes) < len(batches):
            state.cut = tally
        end_epoch(state, procedure, {**figures, **speed}, callbacks, evaluate)


def train_epoch(members: Sequence[Member], began: Sequence[float]) -> tuple[float, Failures]:
    """Trains one epoch of all members, or what is left of it; returns the seconds of its steps.

    Where one fails between two steps, the epoch is left there, and it is returned which.

    `began` is when each training began, in seconds of `time.perf_counter`, less its interruptions.
    """
    state, batches, procedure, *_ = members[0]
    states, epoch, every = [m.state for m in members], state.epoch + 1, procedure.evaluate_every
    lost: Failures = {}
    hooks = [
        (place, member.state, callback.on_step_end)
        for place, member in enumerate(members)
        for callback in member.callbacks
        if type(callback).on_step_end is not Callback.on_step_end
    ]
    started = time.perf_counter() - state.epoch_seconds
    first = len(state.tally.sizes)
    if every and first and state.step % every == 0 and not was_evaluated(state):
        started += evaluate_all(members, lost)
    if lost or state.step >= procedure.steps or first == len(batches):
        return state.epoch_seconds, lost
    rows, tally = Rows(), StackedTally(states, batches.device)
    try:
        train_step = StackedStep(members, epoch, rows)
        in_turn = StackedBatches([member.batches for member in members]).epoch(epoch, first)
        for step, (images, labels) in enumerate(in_turn, first):
            interrupts.hold()
            losses, logits = train_step(step, images, labels)
            tally.add(losses, logits, labels)
            now = time.perf_counter()
            for one, start in zip(states, began, strict=True):
                one.seconds, one.epoch_seconds = now - start, now - started
            for place, one, on_step_end in hooks:
                try:
                    on_step_end(one, one.tally)
                except Exception as error:
                    lost[place] = error
            interrupts.release()
            if every and state.step % every == 0:
                synchronise(batches.device)
                started += evaluate_all(members, lost)
            if lost or state.step >= procedure.steps:
                break
        synchronise(batches.device)
    finally:
        rows.give_back()
        tally.give_back()
    return time.perf_counter() - started, lost


def evaluate_all(members: Sequence[Member], lost: Failures) -> float:
    """Evaluates each member between two steps; returns the seconds that it took."""
    started = time.perf_counter()
    for place, (state, _, procedure, callbacks, evaluate) in enumerate(members):
        with kept(lost, place):
            evaluate_between(state, procedure, callbacks, evaluate)
    return time.perf_counter() - started
