"""Parcels of events: what is sent in one request, and what must not overtake what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlrun.record.events import Event, Kind
from mlrun.record.journal import Entry

PAUSES = (0.5, 30.0)  # seconds between tries of one parcel: the first, and the longest
IN_ORDER: dict[Kind, Kind] = {  # of one name, an old one must not follow a newer one
    "tag": "tag",
    "artifact": "artifact",
    "removal": "artifact",
    "view": "view",
}


@dataclass(eq=False)
class Parcel:
    """Events of one kind that are sent in one request, and when to try next."""

    kind: Kind
    entries: list[Entry]
    pause: float = PAUSES[0]
    due: float = 0.0

    @property
    def events(self) -> list[Event]:
        """The events, in order."""
        return [entry.event for entry in self.entries]

    @property
    def names(self) -> set[tuple[Kind, str]]:
        """What it must not overtake: kind and name, of the kinds that are sent in order."""
        stream = IN_ORDER.get(self.kind)
        return {(stream, event.name) for event in self.events} if stream else set()


def packed(entries: Sequence[Entry], at_once: Mapping[Kind, int]) -> list[Parcel]:
    """Returns events as parcels of one kind, none larger than may be sent at once, in order."""
    parcels = []
    for kind, size in at_once.items():
        of_kind = [entry for entry in entries if entry.event.kind == kind]
        parcels += [Parcel(kind, of_kind[i : i + size]) for i in range(0, len(of_kind), size)]
    return parcels
