"""Stores that an outbox sends to, and outboxes that send to them."""

from __future__ import annotations

import threading

from mlrun.record.events import Event, Kind
from mlrun.record.journal import Journal
from mlrun.record.outbox import Outbox, Send


class Store:
    """Takes metrics; fails as often as it is told, and refuses some names for good."""

    def __init__(self, failures: int = 0, refuses: tuple[str, ...] = ()) -> None:
        self.failures, self.refuses = failures, refuses
        self.requests: list[list[str]] = []
        self.waits = threading.Event()
        self.waits.set()

    def take(self, events: list[Event]) -> None:
        self.waits.wait()
        if self.failures:
            self.failures -= 1
            raise ConnectionError("down")
        names = [event.name for event in events]
        if set(names) & set(self.refuses):
            raise ValueError(f"bad name among {names}")
        self.requests.append(names)


SIZES: dict[Kind, int] = {"metric": 9, "artifact": 1}


def started(journal: Journal, send: dict[Kind, Send], at_once: dict[Kind, int]) -> Outbox:
    def is_refused(error: Exception) -> bool:
        return isinstance(error, ValueError)

    outbox = Outbox(journal, send, at_once, is_refused, abreast={"artifact"})
    outbox.start()
    return outbox


def outbox_to(store: Store, journal: Journal) -> Outbox:
    return started(journal, {"metric": store.take}, {"metric": 3})


def put(outbox: Outbox, names: str) -> None:
    for name in names:
        outbox.put(Event("metric", name, 1.0))
