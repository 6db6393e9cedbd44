"""Work that threads help with is done whether there are any or not."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import CancelledError
from threading import Thread

import pytest

from mlrun.machine.helpers import Helpers, has_ended
from mlrun.machine.interrupts import heeded


@pytest.fixture(params=[0, 1, 8], ids=lambda most: f"{most} threads")
def most(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many threads can be had."""
    start, left = Thread.start, [None] * request.param

    def limited(thread: Thread) -> None:
        if not left:
            raise RuntimeError("can't start new thread")
        left.pop()
        start(thread)

    monkeypatch.setattr(Thread, "start", limited)
    return int(request.param)


def test_what_comes_of_work_comes_in_order(most: int) -> None:
    with Helpers(4, "test") as helpers:
        assert list(helpers.map(lambda number: number**2, range(20))) == [n**2 for n in range(20)]
    assert not [thread for thread in threading.enumerate() if thread.name == "test"]


def test_an_error_is_raised_where_its_result_is_asked_for(most: int) -> None:
    def fail() -> None:
        raise ValueError("odd")

    with Helpers(4, "test") as helpers:
        failed, done = helpers.submit(fail), helpers.submit(int)
        assert done.result() == 0
        with pytest.raises(ValueError, match="odd"):
            failed.result()


def test_what_was_not_begun_can_be_left() -> None:
    go = threading.Event()
    helpers = Helpers(1, "test")
    begun, left = helpers.submit(go.wait), helpers.submit(int)
    helpers.shutdown(wait=False, cancel_futures=False)
    go.set()
    assert begun.result() is True
    assert left.result() == 0
    go.clear()
    helpers = Helpers(1, "test")
    begun = helpers.submit(go.wait)
    while not begun.running():
        pass
    left = helpers.submit(int)
    helpers.shutdown(wait=False, cancel_futures=True)
    go.set()
    with pytest.raises(CancelledError):
        left.result()


def test_a_wait_that_a_signal_breaks_off_leaves_the_thread_what_it_is() -> None:
    over = threading.Event()
    thread = threading.Thread(target=over.wait, args=[60])
    thread.start()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    main = threading.main_thread().ident
    threading.Timer(0.2, signal.pthread_kill, [main, signal.SIGINT]).start()
    try:
        with pytest.raises(KeyboardInterrupt), heeded():
            has_ended(thread, 60)
        assert not has_ended(thread, 0.05)
    finally:
        over.set()
        signal.signal(signal.SIGINT, before)
    assert has_ended(thread, 60)
