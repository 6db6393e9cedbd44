"""The outbox of a run: a cursor over its journal, and a thread that sends what it meets."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from functools import partial
from threading import Thread

from mlrun.errors import first_of, one_line
from mlrun.machine.calls import answered
from mlrun.machine.helpers import has_ended, start_threads
from mlrun.record.abreast import Abreast
from mlrun.record.events import Event, Kind
from mlrun.record.journal import Journal
from mlrun.record.parcels import PAUSES, Parcel, packed

GATHER = 0.5  # seconds: how long events wait for others to share a request
READ_AT_ONCE = 5000  # events; while so many wait for a store, the others stay on the disk
SYNC_EVERY = 1.0  # seconds between two times that the journal is written to the disk
REPORT_EVERY = 60.0  # seconds between two times that a failing store is told of
LAST_TRY = (
    5.0  # seconds after the deadline, at most as many as before it, for a request that is under way
)

Send = Callable[[list[Event]], None]


class Outbox:
    """Sends the events of a journal soon after they are written, many in one request.

    Events that the store does not take now are tried again later, while others are sent. What
    it takes, and what it will never take, is noted in the journal. What is left when the outbox
    is closed stays there, for a later process.

    Args:
        journal: of the run.
        send: by kind, what sends a list of events of that kind; sending some again must
            change nothing.
        at_once: by kind, the most events that `send` may be given.
        is_refused: whether an error means that the store will never take these events.
        abreast: kinds whose requests do not wait for each other, so that the end of a run with
            many files takes as long as a few; a `send` of these is called from several threads.

    Attributes:
        journal: as given.
        trouble: called in the sending thread with the reason, while the store fails, at most once
            a minute.
        fails: whether the store did not take what it was sent last.
        reason: why the store did not take something, the last time that it did not; once it is
            closed, why something is left.
    """

    def __init__(
        self,
        journal: Journal,
        send: Mapping[Kind, Send],
        at_once: Mapping[Kind, int],
        is_refused: Callable[[Exception], bool],
        abreast: Collection[Kind] = (),
    ) -> None:
        self.journal = journal
        self.trouble: Callable[[str], None] = lambda reason: None
        self.reason, self._died = "", ""
        self._send, self._at_once, self._is_refused = send, at_once, is_refused
        self._abreast = abreast
        self.fails = False
        self._report_due = 0.0
        self._wake = threading.Event()
        self._deadline: float | None = None
        self._closing = threading.Event()
        self._closed = self._hangs = False
        self._waiting: list[Parcel] = []
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Starts to send; where no thread can be had, `died` says so."""
        try:
            self._thread = threading.Thread(target=self._run, name="mlrun-outbox", daemon=True)
            self._thread.start()
        except RuntimeError as error:  # no memory, or too many threads
            self._thread = None
            self._died = f"no thread to send events with ({error})"
        start_threads([Thread(target=self._sync, name="mlrun-journal", daemon=True)])

    @property
    def died(self) -> str:
        """Why events are no longer sent; empty while they are."""
        if self._died or self._thread is None or self._closing.is_set() or self._thread.is_alive():
            return self._died
        return "the thread that sends events ended"  # without a word, for want of memory say

    def put(self, event: Event) -> None:
        """Writes an event to the journal, to be sent soon.

        Raises:
            OSError: it could not be written.
        """
        self.journal.append(event)
        self._wake.set()

    def close(self, wait: float) -> int:
        """Sends what is left, for at most `wait` seconds; returns how many events still are.

        Where the thread has died, this one sends. A second time, does nothing, unless the first was
        broken off by a signal: then it waits so long from now.
        """
        if self._closed:
            return self.journal.left()
        self._deadline = time.monotonic() + wait
        self._closing.set()
        self._wake.set()
        ended = self._thread is None or has_ended(self._thread, wait + min(wait, LAST_TRY))
        if ended and self.journal.left() and not self._is_late():  # it died, with a word or without
            # what was under way when it died may have been taken, and its file be gone
            self._waiting = [parcel for parcel in self._waiting if self._is_open(parcel)]
            self._consume_here(wait)
        with suppress(OSError):
            self.journal.sync()
        self._closed = True
        if self.journal.left() and not self.reason:
            self.reason = self._died or "there was no answer in time"
        return self.journal.left()

    def _consume_here(self, wait: float) -> None:
        """Does what the thread that died should have done; once, as it may hang in a request."""
        if not self._hangs:
            self._hangs = True
            with suppress(TimeoutError):
                answered(self._consume, limit=wait + min(wait, LAST_TRY))

    def _run(self) -> None:
        try:
            self._consume()
        except BaseException as error:
            self._died = f"the thread that sends events ended: {one_line(error)}"

    def _sync(self) -> None:
        """Has the journal written to the disk each second, also while a request hangs."""
        while not self._closing.wait(SYNC_EVERY):
            with suppress(OSError):  # who writes to it will be told
                self.journal.sync()

    def _consume(self) -> None:
        """Sends until the outbox is closed and nothing is left, or its deadline has passed."""
        while True:
            self._wait()
            room = READ_AT_ONCE - sum(len(parcel.entries) for parcel in self._waiting)
            if room > 0:
                self._waiting += packed(self.journal.unread(room), self._at_once)
            self._waiting.sort(key=lambda parcel: parcel.entries[0].number)
            go, held = self._choose()
            self._waiting = held + self._deliver_all(go)
            if self._closing.is_set() and (not self.journal.left() or self._is_late()):
                return

    def _wait(self) -> None:
        """Waits for events, or for a parcel to be due."""
        if not self.journal.left() and not self._closing.is_set():
            self._wake.wait()
        elif self._waiting:
            due = min(self._due(parcel) for parcel in self._waiting)
            self._wake.wait(max(0.01, min(due - time.monotonic(), GATHER)))
        if self._wake.is_set():
            self._closing.wait(GATHER)
        self._wake.clear()

    def _choose(self) -> tuple[list[Parcel], list[Parcel]]:
        """Returns the parcels to send now, and those that must wait: for their time, or others."""
        go: list[Parcel] = []
        held: list[Parcel] = []
        names: set[tuple[Kind, str]] = set()
        now = time.monotonic()
        for parcel in self._waiting:
            early = self._due(parcel) > now or (parcel.kind == "end" and bool(go or held))
            (held if early or names & parcel.names else go).append(parcel)
            names |= parcel.names
        return go, held

    def _is_open(self, parcel: Parcel) -> bool:
        """Whether a parcel has no answer yet; a thread that died may have left one that has."""
        return self.journal.awaits(parcel.entries)

    def _due(self, parcel: Parcel) -> float:
        """When to try the parcel; at the end, none waits over half a second."""
        return parcel.due - parcel.pause + PAUSES[0] if self._closing.is_set() else parcel.due

    def _is_late(self) -> bool:
        return self._deadline is not None and time.monotonic() >= self._deadline

    def _deliver_all(self, parcels: list[Parcel]) -> list[Parcel]:
        """Sends parcels, in order but for those that may go side by side; returns the rest."""
        left: dict[Parcel, list[Parcel]] = {parcel: [parcel] for parcel in parcels}

        def deliver(parcel: Parcel) -> None:
            left[parcel] = self._deliver(parcel)

        beside = [parcel for parcel in parcels if parcel.kind in self._abreast]
        abreast = Abreast([partial(deliver, parcel) for parcel in beside])
        for parcel in parcels:
            if parcel.kind not in self._abreast:
                deliver(parcel)
        abreast.finish()
        return [parcel for rest in left.values() for parcel in rest if self._is_open(parcel)]

    def _deliver(self, parcel: Parcel) -> list[Parcel]:
        """Sends a parcel; returns the parcels of it that must be sent again."""
        if self._is_late():
            return [parcel]
        try:
            self._send[parcel.kind](parcel.events)
        except Exception as error:
            return self._after_failure(parcel, error)
        self.journal.acknowledge(parcel.entries)
        self.fails = self.fails and parcel.pause == PAUSES[0]
        return []

    def _after_failure(self, parcel: Parcel, error: Exception) -> list[Parcel]:
        """Notes an event that is refused; returns the parcels to try again."""
        self.reason = one_line(error if self._is_refused(error) else first_of(error))
        if self._is_refused(error) and parcel.kind != "end":  # which every store takes one day
            if len(parcel.entries) > 1:  # each by itself: the others may be taken
                return [Parcel(parcel.kind, [entry]) for entry in parcel.entries]
            self.journal.refuse(parcel.entries[0], self.reason)
            return []
        self.fails = True
        if time.monotonic() >= self._report_due:
            self._report_due = time.monotonic() + REPORT_EVERY
            with suppress(Exception):  # whoever shows it must not stop the sending
                self.trouble(self.reason)
        parcel.pause, parcel.due = min(2 * parcel.pause, PAUSES[1]), time.monotonic() + parcel.pause
        return [parcel]
