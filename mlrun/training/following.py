"""What the processes that rank 0 leads do: each its share of steps and evaluations."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mlrun.data.batches import Batches
from mlrun.errors import MlrunError
from mlrun.machine import interrupts
from mlrun.machine.group import Group
from mlrun.training.average import tensors_of
from mlrun.training.evaluation import set_training_mode
from mlrun.training.orders import Order
from mlrun.training.procedure import Procedure
from mlrun.training.state import TrainingState
from mlrun.training.step import Step

GRACE = 5.0  # seconds after a signal until one leaves whom rank 0 goes on to tell what to do
AT_ONCE = 1.0  # seconds of steps that the others are told of at once


class Work(NamedTuple):
    """What another process than rank 0 trains and evaluates with.

    begin: returns its batches and the procedure, once it has the weights.
    evaluate: evaluates its share of a model on a part, from features of the images or not.
    """

    begin: Callable[[], tuple[Batches, Procedure]]
    evaluate: Callable[[nn.Module, str, bool], object]


def begin_together(state: TrainingState) -> None:
    """Gives the other processes rank 0's weights, and the states of its optimiser and scaler."""
    with state.group.telling(Order.BEGIN):
        exchange(state)


def exchange(state: TrainingState) -> None:
    """Gives all processes what rank 0's state has that decides on the next step."""
    group = state.group
    group.spread(tensors_of(state.model))
    state.step = group.share(state.step)
    threads = group.share(torch.get_num_threads())  # bits depend on it
    if group.rank and threads <= (os.cpu_count() or 1):
        torch.set_num_threads(threads)
    if group.size > 1 and state.step:
        state.optimiser.load_state_dict(group.share(state.optimiser.state_dict()))
        state.scaler.load_state_dict(group.share(state.scaler.state_dict()))


@contextmanager
def evaluate_together(
    group: Group, model: nn.Module, part: str, *, features: bool
) -> Iterator[None]:
    """Has the other processes evaluate their shares of a part; rank 0 does its own in the block."""
    with group.telling(Order.EVALUATE, features):
        group.share(part)
        group.spread(tensors_of(model))
        yield


def steps_at_once(state: TrainingState, most: int) -> int:
    """Returns how many steps of an epoch to tell the others of, who need not wait in between.

    Rank 0 goes through all of them before it does anything else.

    Args:
        state: where training stands.
        most: how many may follow one another.
    """
    if state.group.size == 1 or not state.tally.sizes:
        return 1
    return max(1, min(most, int(AT_ONCE * len(state.tally.sizes) / state.epoch_seconds)))


def follow(state: TrainingState, work: Work) -> bool:
    """Does what rank 0 tells, until it tells to leave; returns whether it has a result.

    Raises:
        MlrunError: this process was asked to end, and rank 0 was not.
    """
    group, asked = state.group, 0.0
    source, step, batches, twin = None, None, None, None
    while True:
        order, *numbers = group.hear()
        if order == Order.LEAVE:
            return bool(numbers[0])
        if interrupts.count():
            asked = asked or time.monotonic()
            if time.monotonic() - asked > GRACE:
                raise MlrunError("it was asked to end by a signal")
        if order == Order.BEGIN:
            exchange(state)
            source, procedure = work.begin()
        elif order == Order.BUILD and source is not None:
            step = Step(state, procedure, source)
            set_training_mode(state.model)
            batches = InTurn(source)
        elif order == Order.STEP and step is not None and batches is not None:
            train(state, step, batches, *numbers[:5])
        elif order == Order.EVALUATE:
            part = group.share("")
            twin = copy.deepcopy(state.model) if twin is None else twin
            group.spread(tensors_of(twin))
            work.evaluate(twin, part, bool(numbers[0]))


def train(
    state: TrainingState,
    step: Step,
    batches: InTurn,
    epoch: float,
    first: float,
    done: float,
    scale: float,
    count: float,
) -> None:
    """Trains on this process's share of batches; the numbers are those of `Order.STEP`."""
    state.step, state.schedule.scale = int(done), scale
    for number in range(int(first), int(first + count)):
        images, labels = batches.take(int(epoch), number)
        step(int(epoch), number, images, labels)
        batches.fetch()


class InTurn:
    """Batches that are asked for one by one, as a rule in turn; the next one lies ready then."""

    def __init__(self, source: Batches) -> None:
        self._source = source
        self._place = (-1, -1)  # epoch and number of the batch that comes next
        self._left: Iterator[tuple[Tensor, Tensor]] = iter(())
        self._next: tuple[Tensor, Tensor] | None = None

    def take(self, epoch: int, number: int) -> tuple[Tensor, Tensor]:
        """Returns a batch's images and labels."""
        if self._place != (epoch, number):
            self._left, self._place = self._source.epoch(epoch, number), (epoch, number)
            self._next = None
        self.fetch()
        assert self._next is not None  # rank 0 has as many batches
        batch, self._next = self._next, None
        self._place = (epoch, number + 1)
        return batch

    def fetch(self) -> None:
        """Gathers the batch that comes next, if there is one and it is not there yet."""
        if self._next is None:
            self._next = next(self._left, None)
