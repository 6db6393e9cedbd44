"""Signals that ask a run to end, raised only where they cut nothing in two.

Within `heeded` each SIGINT, SIGTERM and SIGHUP becomes an `Interrupted`, a KeyboardInterrupt. It is
raised

- at once, as a rule;
- at the end of the step, where a training is between `hold` and `release`; a second one at once;
- at the end of the block within `undisturbed`; at once where such a block waits: `interruptible`.

Whoever asks again after `LONGEST` is not put off: then it is raised wherever it comes. Where the
process has not come to its end two minutes after the first, something hangs that heeds nobody, and
it is ended, with a line.

A first one is therefore raised where the training is between two steps. One that got lost, in a
plugin that catches everything say, is raised again at the next `release` or `check`.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import Any

from mlrun.errors import signals_have_a_kind
from mlrun.machine.exits import KINDS, echo, end_at_last

SAME = 2.0  # seconds in which a signal of another kind is the first one once more
LONGEST = 10.0  # seconds for which a signal may be put off by a step, or a block
NEVER = sys.maxsize


class Interrupted(KeyboardInterrupt):
    """A signal asked the process to end.

    signal: which.
    whole: whether the training, if there is one, was between two steps, so that its state is
        one to go on from.
    reason: why this process sent itself the signal; empty of others.
    """

    def __init__(self, number: int, *, whole: bool = True, reason: str = "") -> None:
        self.signal, self.whole, self.reason = signal.Signals(number), whole, reason
        super().__init__(f"interrupted ({reason or self.signal.name})")


class Signals:
    """The signals of this process that ask it to end, and how many of them may come now.

    came: those that came, in order.
    reason: why this process sent itself one; empty of others.
    most: how many are only noted, where `held` does not say more.
    held: whether a step is under way, which one may not break off.
    raised: how often one was; from then on they are noted only, but for `interruptible` blocks.
    before: by signal, the handler that was there before ours; empty outside `heeded`.
    """

    def __init__(self) -> None:
        self.before: dict[int, Any] = {}
        self.reset()

    def reset(self) -> None:
        """Forgets what came."""
        self.came: list[int] = []
        self.reason = ""
        self.most, self.held, self.raised, self.first = 0, False, 0, 0.0

    def take(self, number: int, frame: FrameType | None) -> None:
        """Notes a signal, and raises it unless it must wait."""
        now = time.monotonic()
        if not self.came:
            self.first = now
            with suppress(RuntimeError):  # no thread can be had
                hangs = partial(self.has_not_ended, self.first)
                threading.Thread(target=end_at_last, args=[number, hangs], daemon=True).start()
        elif now - self.first < (echo() if number in self.came else SAME):
            return  # Ctrl-C reaches us and the launcher, which ends us in its own way
        self.came.append(number)
        if now - self.first > LONGEST:
            self.deliver()
        self.check()

    def has_not_ended(self, first: float) -> bool | None:
        """Whether the process is still ending since a signal came `first`; None within a step."""
        if not self.came or self.first != first:  # all is over, or the caller handled it
            return False
        return None if self.held and not self.raised else True

    def check(self) -> None:
        """Raises what must wait no longer."""
        if len(self.came) > max(self.most, self.held):
            self.deliver()

    def deliver(self) -> None:
        """Raises the signal that came first, or calls a handler that the caller had set for it."""
        number = self.came[0]
        own = self.before.get(number)
        if callable(own) and own is not signal.default_int_handler:
            self.came.clear()
            try:
                own(number, None)
            except KeyboardInterrupt as error:
                if type(error) is KeyboardInterrupt:  # as the caller of another handler expects
                    raise Interrupted(number, whole=not self.held) from None
                raise
            return
        self.most, self.raised = NEVER, self.raised + 1
        raise Interrupted(number, whole=not self.held, reason=self.reason)

    def hold(self) -> None:
        """Has a first signal wait for `release`: the weights are about to change."""
        self.held = True

    def release(self) -> None:
        """Raises a signal that came since `hold`, or was lost before."""
        self.held = False
        if self.came:
            self.deliver()


_signals = Signals()
hold, release = _signals.hold, _signals.release


def in_step() -> bool:
    """Whether a training step was begun and has not ended, be it that it failed."""
    return _signals.held


def count() -> int:
    """How many signals came that ask the process to end."""
    return len(_signals.came)


def check() -> None:
    """Raises a signal that came and was lost: what follows is not to be begun then."""
    if _signals.came and ours():
        _signals.deliver()


def ask(reason: str) -> None:
    """Has the main thread end as SIGTERM has it, unless it was told to; called from another."""
    kinds = [kind for kind in KINDS if kind in _signals.before]
    if kinds and not _signals.came:
        _signals.reason = reason
        signal.pthread_kill(threading.main_thread().ident or 0, kinds[0])


def ours() -> bool:
    """Whether signals are raised in this thread, as they are in the main thread alone."""
    return threading.current_thread() is threading.main_thread()


@contextmanager
def heeded() -> Iterator[None]:
    """Has signals that ask the process to end be raised as `Interrupted`.

    One that is ignored, as after `nohup`, stays so; for one that the caller handles itself that
    handler is called, where an `Interrupted` would be raised. Afterwards all is as it was. Within
    another such block, and in other threads, does nothing.
    """
    if not ours() or _signals.before:
        yield
        return
    _signals.reset()
    try:
        try:
            for kind in KINDS:
                handler = signal.getsignal(kind)
                if handler not in (signal.SIG_IGN, None):  # None: not Python's, nor to be put back
                    _signals.before[kind] = handler
                    signal.signal(kind, _signals.take)
            signals_have_a_kind.set()
            yield
        finally:
            _signals.most = NEVER  # which one that is raised here has set, too
    finally:
        handlers, _signals.before = _signals.before, {}  # all else is as it was before SIGINT can
        signals_have_a_kind.clear()  # be raised in its own way, which is the last to be put back
        for number, handler in handlers.items():
            signal.signal(number, handler)
        left = [] if _signals.raised else _signals.came
        _signals.reset()
    if left:
        signal.raise_signal(left[0])


@contextmanager
def undisturbed() -> Iterator[None]:
    """Has signals wait for the end of the block: an import, a run's start or end, a journal's line.

    Whatever such a block waits for belongs into `interruptible`.
    """
    if not ours():
        yield
        return
    before, raised = _signals.most, _signals.raised
    _signals.most = NEVER
    try:
        yield
    finally:
        _signals.most = before if _signals.raised == raised else NEVER
        _signals.check()


@contextmanager
def interruptible() -> Iterator[None]:
    """Has a signal break the block off, within `undisturbed` and in a step too: a wait.

    Where one was raised before, the next one does so. To go on behind the block, put
    `suppress(KeyboardInterrupt)` around it: nothing is raised from there on.
    """
    if not ours():
        yield
        return
    most, held, raised = _signals.most, _signals.held, _signals.raised
    _signals.held, _signals.most = False, len(_signals.came) if _signals.raised else 0
    try:
        _signals.check()
        yield
        _signals.held = held
    finally:
        _signals.most = most if _signals.raised == raised else NEVER


@contextmanager
def led() -> Iterator[None]:
    """Sets no limit after a signal, within `undisturbed`: another process has one, and ends us."""
    hold()
    try:
        yield
    finally:
        _signals.held = False


@contextmanager
def deadly() -> Iterator[None]:
    """Has signals end the process at once: a wait that Python cannot break off, for nothing yet."""
    kinds = list(_signals.before) if ours() else []
    try:
        for kind in kinds:
            signal.signal(kind, signal.SIG_DFL)
        yield
    finally:
        for kind in kinds:
            signal.signal(kind, _signals.take)
