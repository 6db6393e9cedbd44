"""What the steps of an epoch come to, against each step counted by itself."""

from __future__ import annotations

import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import Any

import torch

from mlrun.machine.interrupts import heeded
from mlrun.training.tally import COUNTED_AT_ONCE, Answers, Tally


def answers(step: int, count: int = 6, share: float = 1.0) -> Answers:
    drawn = torch.Generator().manual_seed(step)
    logits = torch.randn(count, 4, generator=drawn)
    labels, others = torch.randint(0, 4, (2, count), generator=drawn)
    return Answers(logits, labels, others, share)


def right(given: Answers) -> float:
    """By the loop that one would write."""
    own = (given.logits.argmax(1) == given.labels).sum().item()
    other = (given.logits.argmax(1) == given.others).sum().item()
    return given.share * own + (1 - given.share) * other


def test_right_answers_are_counted_step_by_step_however_many_wait() -> None:
    given = [answers(step, count=3 if step % 7 == 6 else 6) for step in range(2 * COUNTED_AT_ONCE)]
    tally = Tally()
    for place, some in enumerate(given):
        tally.add(torch.tensor(float(place)), some, len(some.labels))
        if place in (0, 5, 40):  # to look changes nothing
            assert tally.hits().tolist() == [right(one) for one in given[: place + 1]]
    assert tally.hits().tolist() == [right(one) for one in given]
    assert tally.sizes == [len(some.labels) for some in given]
    assert tally.losses().tolist() == [float(place) for place in range(len(given))]


def test_accuracies_are_fractions_of_each_step_s_own_examples() -> None:
    tally = Tally()
    steps = [answers(0), answers(1, count=4), answers(2)]
    for some in steps:
        tally.add(torch.tensor(0.0), some, len(some.labels))
    assert tally.accuracies([1, 2]) == [right(steps[1]) / 4, right(steps[2]) / 6]
    assert tally.accuracies([]) == []


def test_mixed_images_count_by_the_share_of_the_label() -> None:
    tally = Tally()
    steps = [answers(3, share=0.75), answers(4), answers(5, share=0.25)]
    for some in steps:
        tally.add(torch.tensor(0.0), some, len(some.labels))
    torch.testing.assert_close(tally.hits(), torch.tensor([right(some) for some in steps]))


def test_steps_that_were_counted_already_stand_among_the_others() -> None:
    tally, steps = Tally(), [answers(0), answers(1), answers(2)]
    for place, some in enumerate(steps):
        counted = torch.tensor(right(some)) if place == 1 else some
        tally.add(torch.tensor(float(place)), counted, len(some.labels))
    assert tally.hits().tolist() == [right(some) for some in steps]
    assert tally.losses().tolist() == [0, 1, 2]


def test_a_signal_at_any_line_of_counting_has_no_step_counted_twice() -> None:
    def interrupted(line: int) -> Tally:
        """A tally, where SIGINT came at the n-th line that its `count` came by, if there is one."""
        tally, seen = Tally(), [0]
        for place in range(3):
            tally.add(torch.tensor(float(place)), answers(place), 6)

        def trace(frame: FrameType, event: str, _: object) -> Any:
            if frame.f_code is Tally.count.__code__ and event == "line":
                seen[0] += 1
                if seen[0] == line:
                    signal.raise_signal(signal.SIGINT)
            return trace

        with suppress(KeyboardInterrupt), heeded():
            sys.settrace(trace)
            try:
                tally.count()
            finally:
                sys.settrace(None)
        return tally

    for line in range(1, 12):
        assert interrupted(line).losses().tolist() == [0, 1, 2]
        assert len(interrupted(line).hits()) == 3
