"""mlrun.machine.calls: a call that may never return is waited for until a signal comes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import nullcontext, suppress

import pytest
from waiting import until

from mlrun.machine import calls, interrupts
from mlrun.machine.calls import Unanswered, answered
from mlrun.machine.interrupts import Interrupted, heeded, undisturbed


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(calls, "GRACE", 0.1)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Hangs:
    """A call that returns when it is let go, and what came of it."""

    def __init__(self) -> None:
        self.go, self.late = threading.Event(), list[int]()

    def __call__(self) -> int:
        signal.raise_signal(signal.SIGINT)
        assert self.go.wait(60)
        return 3


def test_what_it_returns_or_raises_is_the_callers() -> None:
    def fail() -> None:
        raise ValueError("no")

    assert answered(lambda: 3) == 3
    with pytest.raises(ValueError, match="no"):
        answered(fail)


@pytest.mark.parametrize("put_off", [True, False])
def test_a_signal_ends_the_wait_and_what_comes_late_is_handed_over(*, put_off: bool) -> None:
    call, after = Hangs(), []

    def ask() -> None:
        answered(call, call.late.append)
        after.append("it went on")

    with pytest.raises(Unanswered) as told, heeded(), undisturbed() if put_off else nullcontext():
        ask()
    assert (told.value.signal, told.value.whole, after) == (signal.SIGINT, True, [])
    assert call.late == []
    call.go.set()
    until(lambda: call.late == [3])


def test_who_is_ending_waits_no_longer_than_that() -> None:
    call = Hangs()

    def work() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            with undisturbed(), suppress(TimeoutError):
                answered(call.go.wait)
                pytest.fail("it was answered")

    with pytest.raises(Interrupted) as told, heeded():
        work()
    assert not isinstance(told.value, Unanswered)
    call.go.set()


def test_one_that_returns_within_the_time_that_a_signal_gives_is_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(calls, "GRACE", 60.0)
    call, found = Hangs(), []
    threading.Timer(0.1, call.go.set).start()
    with pytest.raises(Interrupted) as told, heeded(), undisturbed():
        found.append(answered(call, call.late.append))
    assert (found, call.late, type(told.value)) == ([3], [], Interrupted)


def test_a_signal_that_the_caller_handles_gives_nothing_up() -> None:
    call, came = Hangs(), list[int]()

    def handle(number: int, frame: object) -> None:
        came.append(number)
        call.go.set()

    before = signal.signal(signal.SIGINT, handle)
    try:
        with heeded(), undisturbed():
            assert answered(call) == 3
    finally:
        signal.signal(signal.SIGINT, before)
    assert came == [signal.SIGINT]


def test_there_may_be_a_limit_without_a_signal() -> None:
    go, waited = threading.Event(), list[float]()
    with pytest.raises(TimeoutError, match=r"no answer within 0\.2 s"):
        answered(go.wait, limit=0.2, slow=waited.append)
    go.set()
    assert waited
    assert interrupts.count() == 0


def test_in_another_thread_it_is_a_call_like_others() -> None:
    names: list[str] = []
    thread = threading.Thread(
        target=lambda: names.append(answered(lambda: threading.current_thread().name)), name="mine"
    )
    thread.start()
    thread.join()
    assert names == ["mine"]
