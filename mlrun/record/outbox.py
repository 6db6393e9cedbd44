"""The outbox of a run: a queue of events, and a thread that sends them."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from mlrun.errors import one_line
from mlrun.record.events import Event, Kind

GATHER = 0.5  # seconds: how long events wait for others to share a request
GRACE = 30.0  # seconds: how long a closing run goes on trying a store that fails
PAUSES = (0.5, 30.0)  # seconds between tries of one parcel: the first, and the longest
ABREAST = 8  # requests at once, of the kinds that may go side by side

Send = Callable[[list[Event]], None]


@dataclass(eq=False)
class Parcel:
    """Events of one kind that are sent in one request, and when to try next."""

    kind: Kind
    events: list[Event]
    pause: float = PAUSES[0]
    due: float = 0.0
    reason: str = "the tracking store did not answer in time"


class Outbox:
    """Queues events without waiting and sends them soon, many in one request.

    Events that the store does not take now are tried again later, while others are sent; as
    long as a run lasts, without end.

    Args:
        send: by kind, what sends a list of events of that kind; sending some again must
            change nothing.
        at_once: by kind, the most events that `send` may be given.
        is_refused: whether an error means that the store will never take these events.
        abreast: kinds whose requests do not wait for each other, so that the end of a run with
            many files takes as long as a few; a `send` of these is called from several threads.
        trouble: called once, in the sending thread, with the reason why the store fails.

    Attributes:
        refused: events that the store will never take, each with the reason.
        lost: events that were given up when the run closed, each with the reason.
    """

    def __init__(
        self,
        send: Mapping[Kind, Send],
        at_once: Mapping[Kind, int],
        is_refused: Callable[[Exception], bool],
        trouble: Callable[[str], None] = lambda reason: None,
        abreast: Collection[Kind] = (),
    ) -> None:
        self.refused: list[tuple[Event, str]] = []
        self.lost: list[tuple[Event, str]] = []
        self.trouble = trouble
        self._send, self._at_once, self._is_refused = send, at_once, is_refused
        self._abreast = abreast
        self._has_reported = False
        self._queue: queue.Queue[Event | None] = queue.Queue()
        self._hurry = threading.Event()
        self._deadline: float | None = None
        self._thread = threading.Thread(target=self._consume, name="mlrun-outbox", daemon=True)
        self._thread.start()

    def put(self, event: Event) -> None:
        """Queues one event without waiting; after closing, adds it to `lost`."""
        if self._thread.is_alive():
            self._queue.put(event)
        else:
            self.lost.append((event, "the run was closed"))

    def flush(self) -> None:
        """Waits until every event so far is sent, refused or, after a grace, lost."""
        if self._thread.is_alive():
            self._deadline = time.monotonic() + GRACE
            self._hurry.set()
            self._queue.join()
            self._hurry.clear()
            self._deadline = None

    def close(self) -> None:
        """Sends what is left and stops the thread; a second time, does nothing."""
        if self._thread.is_alive():
            self._deadline = time.monotonic() + GRACE
            self._hurry.set()
            self._queue.put(None)
            self._thread.join()

    def _consume(self) -> None:
        waiting: list[Parcel] = []
        open_ = True
        with ThreadPoolExecutor(ABREAST, "mlrun-outbox") as pool:
            while open_ or waiting:
                events = self._take(waiting)
                if None in events:
                    open_ = False
                    self._queue.task_done()
                waiting += self._pack([event for event in events if event is not None])
                due = [parcel for parcel in waiting if self._is_due(parcel)]
                waiting = [parcel for parcel in waiting if parcel not in due]
                waiting += self._deliver_all(due, pool)

    def _deliver_all(self, parcels: list[Parcel], pool: ThreadPoolExecutor) -> list[Parcel]:
        """Sends parcels, in order but for those that may go side by side; returns the rest."""
        parallel = [parcel for parcel in parcels if parcel.kind in self._abreast]
        deliveries = [pool.submit(self._deliver, parcel) for parcel in parallel]
        left = [self._deliver(parcel) for parcel in parcels if parcel.kind not in self._abreast]
        left += [delivery.result() for delivery in deliveries]
        return [parcel for parcels in left for parcel in parcels]

    def _take(self, waiting: list[Parcel]) -> list[Event | None]:
        """Returns the events on the queue, once there is one or a waiting parcel is due."""
        patience = None
        if waiting:
            next_due = min(parcel.due for parcel in waiting)
            patience = max(0.01, min(next_due - time.monotonic(), 0.5))
        try:
            events = [self._queue.get(timeout=patience)]
        except queue.Empty:
            return []
        if events[0] is not None:
            self._hurry.wait(GATHER)
        with suppress(queue.Empty):
            while True:
                events.append(self._queue.get_nowait())
        return events

    def _pack(self, events: list[Event]) -> list[Parcel]:
        """Returns the events as parcels of one kind, none too large."""
        parcels = []
        for kind, size in self._at_once.items():
            of_kind = [event for event in events if event.kind == kind]
            parcels += [Parcel(kind, of_kind[i : i + size]) for i in range(0, len(of_kind), size)]
        return parcels

    def _is_due(self, parcel: Parcel) -> bool:
        """Whether to try the parcel now; in a hurry, no parcel waits over half a second."""
        due = parcel.due - parcel.pause + PAUSES[0] if self._hurry.is_set() else parcel.due
        return time.monotonic() >= due

    def _deliver(self, parcel: Parcel) -> list[Parcel]:
        """Sends a parcel; returns the parcels of it that must be sent again."""
        reason = parcel.reason
        if self._deadline is None or time.monotonic() < self._deadline:
            try:
                self._send[parcel.kind](parcel.events)
                self._done(parcel)
                return []
            except Exception as error:
                reason = one_line(error)
                if self._is_refused(error):
                    if len(parcel.events) > 1:  # each by itself: the others may be taken
                        return [Parcel(parcel.kind, [event]) for event in parcel.events]
                    self.refused.append((parcel.events[0], reason))
                    self._done(parcel)
                    return []
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self.lost += [(event, reason) for event in parcel.events]
            self._done(parcel)
            return []
        if not self._has_reported:
            self._has_reported = True
            self.trouble(reason)
        pause = min(2 * parcel.pause, PAUSES[1])
        return [Parcel(parcel.kind, parcel.events, pause, time.monotonic() + parcel.pause, reason)]

    def _done(self, parcel: Parcel) -> None:
        for _ in parcel.events:
            self._queue.task_done()
