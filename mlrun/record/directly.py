"""Events that cannot be written to a journal, sent to the store as they are."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from itertools import groupby
from pathlib import Path, PurePosixPath

from mlflow import MlflowClient

from mlrun.machine.calls import GRACE, answered
from mlrun.record.events import Event, Kind
from mlrun.record.outbox import Send
from mlrun.record.sending import AT_ONCE, is_refused


def send_directly(send: Mapping[Kind, Send], events: Sequence[Event]) -> int:
    """Sends events that are in memory only, in order; returns how many the store did not take.

    One that is refused, or needs a file that cannot be written anywhere, is passed over. A store
    that fails is not tried again.
    """
    lost = 0
    parcels = list(in_parcels(events))
    for place, parcel in enumerate(parcels):
        with ExitStack() as folders:
            try:
                ready = [with_file(event, folders) for event in parcel]
            except OSError:
                lost += len(parcel)
                continue
            try:
                send[parcel[0].kind](ready)
            except Exception as error:
                if not is_refused(error):
                    return lost + sum(len(parcel) for parcel in parcels[place:])
                lost += len(parcel)
    return lost


def in_parcels(events: Sequence[Event]) -> Iterator[list[Event]]:
    """Yields the events in order, those of a kind together where they follow each other."""
    for kind, together in groupby(events, key=lambda event: event.kind):
        of_kind, size = list(together), AT_ONCE[kind]
        yield from (of_kind[i : i + size] for i in range(0, len(of_kind), size))


def with_file(event: Event, folders: ExitStack) -> Event:
    """Returns an event whose content, if it is bytes, is a file in a temporary folder."""
    if not isinstance(event.value, bytes):
        return event
    folder = folders.enter_context(tempfile.TemporaryDirectory(prefix="mlrun-"))
    path = Path(folder) / PurePosixPath(event.name).name
    path.write_bytes(event.value)
    return replace(event, value=path)


def end_directly(client: MlflowClient, run_id: str, status: str, tags: Mapping[str, str]) -> None:
    """Ends a run whose journal cannot be written, if the store answers within 10 s."""

    def end() -> None:
        for name, text in tags.items():
            client.set_tag(run_id, name, text)
        client.set_terminated(run_id, status)

    with suppress(Exception):
        answered(end, limit=GRACE)
