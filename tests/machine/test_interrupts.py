"""mlrun.machine.interrupts: signals are raised where they cut nothing in two."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import FrameType
from typing import Any

import pytest

from mlrun.machine import agent, exits, interrupts
from mlrun.machine.exits import KINDS
from mlrun.machine.interrupts import Interrupted, heeded, interruptible, undisturbed

BEFORE = dict.fromkeys(KINDS, signal.SIG_DFL) | {signal.SIGINT: signal.default_int_handler}


@pytest.fixture(autouse=True)
def as_they_were() -> Iterator[None]:
    """Handlers as a fresh process has them, and a look that they are so again."""
    found = {kind: signal.signal(kind, handler) for kind, handler in BEFORE.items()}
    yield
    left = {kind: signal.signal(kind, handler) for kind, handler in found.items()}
    assert left == BEFORE


def raised_by(work: Callable[[], None]) -> Interrupted:
    with pytest.raises(Interrupted) as told, heeded():
        work()
    return told.value


def come(kind: signal.Signals = signal.SIGINT) -> None:
    signal.raise_signal(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_signal_is_raised_at_once_and_named(kind: signal.Signals) -> None:
    def work() -> None:
        come(kind)
        pytest.fail("it went on")

    told = raised_by(work)
    assert str(told) == f"interrupted ({kind.name})"
    assert (told.signal, told.whole) == (kind, True)


@pytest.mark.parametrize("kind", KINDS)
def test_in_a_step_the_first_waits_for_its_end(kind: signal.Signals) -> None:
    done = []

    def work() -> None:
        interrupts.hold()
        come(kind)
        done.append("step")
        interrupts.release()
        done.append("more")

    told = raised_by(work)
    assert (done, told.whole) == (["step"], True)


def test_in_a_step_the_second_is_raised_at_once_and_says_so() -> None:
    def work() -> None:
        interrupts.hold()
        come(signal.SIGTERM)
        come(signal.SIGTERM)
        pytest.fail("it went on")

    told = raised_by(work)
    assert told.signal == signal.SIGTERM
    assert not told.whole


def test_another_kind_at_the_same_time_is_not_a_second_one() -> None:
    def work() -> None:
        interrupts.hold()
        come(signal.SIGINT)  # of the terminal
        come(signal.SIGTERM)  # of the launcher, which it reached too
        assert interrupts.count() == 1
        interrupts.release()

    told = raised_by(work)
    assert told.signal == signal.SIGINT
    assert told.whole


def test_undisturbed_all_wait_for_the_end_of_the_block() -> None:
    done = []

    def work() -> None:
        with undisturbed():
            with undisturbed():
                come()
                come()
            done.append("inner")
        done.append("outer")

    raised_by(work)
    assert done == ["inner"]


def test_nothing_puts_off_who_asks_again_after_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts, "LONGEST", -1.0)

    def work() -> None:
        with undisturbed():
            come()
            pytest.fail("it went on")

    assert raised_by(work).whole


def test_undisturbed_in_a_step_the_first_waits_for_the_step() -> None:
    def work() -> None:
        interrupts.hold()
        with undisturbed():
            come()
        interrupts.release()

    told = raised_by(work)
    assert told.whole


def test_a_wait_is_broken_off_within_an_undisturbed_block_and_what_follows_is_done() -> None:
    done = []

    def work() -> None:
        try:
            come()
        except Interrupted:
            with undisturbed():
                for name in ("first", "second"):
                    with suppress(KeyboardInterrupt), interruptible():
                        come()
                        pytest.fail("it waited on")
                    come()
                    done.append(name)
            raise

    raised_by(work)
    assert done == ["first", "second"]


def test_a_wait_after_an_undisturbed_part_of_it_is_broken_off_too() -> None:
    def work() -> None:
        try:
            come()
        finally:
            with undisturbed(), suppress(KeyboardInterrupt), interruptible():
                with undisturbed():
                    pass
                come()
                pytest.fail("it waited on")

    assert raised_by(work).signal == signal.SIGINT


def test_a_wait_in_a_step_is_broken_off_by_the_first_and_the_training_is_whole() -> None:
    def work() -> None:
        interrupts.hold()
        with interruptible():
            come()

    told = raised_by(work)
    assert told.whole


def test_one_that_waited_breaks_off_the_next_wait() -> None:
    def work() -> None:
        with undisturbed():
            come()
            with interruptible():
                pytest.fail("it waited")

    assert raised_by(work).signal == signal.SIGINT


def test_one_that_was_caught_is_raised_again_after_the_step() -> None:
    def work() -> None:
        with suppress(BaseException):  # a plugin
            come()
        interrupts.hold()
        interrupts.release()

    told = raised_by(work)
    assert told.whole


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with heeded():
            come(signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        assert interrupts.count() == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_what_the_caller_handles_comes_to_the_caller_after_the_step() -> None:
    came: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: came.append(number))
    try:
        with heeded():
            interrupts.hold()
            come(signal.SIGTERM)
            assert came == []
            interrupts.release()
            assert came == [signal.SIGTERM]
            come(signal.SIGTERM)
        assert came == [signal.SIGTERM, signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_one_that_the_callers_handler_raises_says_whether_the_training_is_whole() -> None:
    def handle(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, handle)
    try:

        def work() -> None:
            interrupts.hold()
            come(signal.SIGTERM)
            interrupts.release()

        told = raised_by(work)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (told.signal, told.whole) == (signal.SIGTERM, True)


def test_in_another_thread_nothing_is_changed() -> None:
    found = []

    def work() -> None:
        with heeded(), undisturbed(), interruptible():
            found.append({kind: signal.getsignal(kind) for kind in KINDS})

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [BEFORE]


EXITS = """
import os, signal, sys, threading, time
from mlrun.machine.exits import KINDS, end_soon
from mlrun.machine.interrupts import heeded
if sys.argv[1] == "hanging":
    threading.Thread(target=time.sleep, args=[600]).start()
with heeded():
    pass
end_soon(int(sys.argv[2]))
if sys.argv[1] == "signal":
    signal.raise_signal(signal.SIGINT)
    print("it went on")
"""


@pytest.mark.parametrize(
    ("how", "code"), [("signal", 0), pytest.param("hanging", 143, marks=pytest.mark.slow)]
)
def test_a_process_that_is_ending_ends(how: str, code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", EXITS, how, str(code)],
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")


HANGS = """
import os, signal, sys, time
from mlrun.machine import exits, interrupts
exits.AT_MOST, exits.LOOKS = 0.5, 0.1
with interrupts.heeded():
    try:
        if sys.argv[1] == "step":
            interrupts.hold()
        if sys.argv[1] == "put off":
            with interrupts.undisturbed():
                signal.raise_signal(signal.SIGTERM)
                time.sleep(600)
        signal.raise_signal(signal.SIGTERM)
        time.sleep(1)  # a step may take its time
        interrupts.release()
    finally:
        time.sleep(600)
"""


@pytest.mark.parametrize("how", ["put off", "raised", "step"])
def test_a_process_that_hangs_after_a_signal_is_ended_with_a_line(how: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HANGS, how], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 143
    assert done.stderr.count("\n") == 1
    assert "Error: interrupted, and after 0.5 s something still hangs" in done.stderr


LED = """
import signal, time
from mlrun.machine import exits, interrupts
exits.AT_MOST, exits.LOOKS = 0.5, 0.1
with interrupts.heeded():
    try:
        with interrupts.undisturbed(), interrupts.led():
            signal.raise_signal(signal.SIGTERM)
            time.sleep(1.5)
            print("it had its time")
    except interrupts.Interrupted as error:
        print(error)
"""


def test_a_process_that_another_leads_has_no_limit_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LED], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["it had its time", "interrupted (SIGTERM)"]


def test_a_launcher_kills_nobody_before_the_time_of_one_process_is_over() -> None:
    assert agent.LAST > exits.AT_MOST


@pytest.mark.parametrize("line", range(12))
def test_one_at_any_line_of_its_end_leaves_all_as_it_was(line: int) -> None:
    """Raises SIGINT at the n-th line that the end of `heeded` comes by."""
    ended, seen = [False], [0]

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if ended[0] and frame.f_code.co_name == "heeded" and event == "line":
            seen[0] += 1
            if seen[0] == line + 1:
                come()
        return trace

    with suppress(KeyboardInterrupt):
        sys.settrace(trace)
        try:
            with heeded():
                ended[0] = True
        finally:
            sys.settrace(None)
    with pytest.raises(Interrupted), heeded():  # and the next one heeds them
        come()
