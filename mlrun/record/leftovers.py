"""What earlier runs could not send: found by their journals, and sent by a later process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from mlrun.errors import MlrunError
from mlrun.record import store
from mlrun.record.folders import runs_folder
from mlrun.record.journal import Journal
from mlrun.record.journal_files import EVENTS, Header
from mlrun.record.ledger import ledger_of
from mlrun.record.noise import quiet, silent
from mlrun.record.presence import Presence, about
from mlrun.record.saved import has_state
from mlrun.record.sending import Sender
from mlrun.record.tracking import outbox_of
from mlrun.record.waiting import Patience, check_free, patiently, refusal

PATIENCE = 20.0  # seconds: how long a store that fails is tried, for one earlier run


@dataclass(frozen=True)
class Sent:
    """What was sent of a run's journal.

    run: of the journal.
    sent, left: events that the store took now, and that it does not have yet.
    refused: events that the store will never take, by name, with the reason.
    reason: why something is left; empty where nothing is.
    note: what is to be done about a run that has no end; empty of one that has.
    """

    run: Header
    sent: int
    left: int
    refused: dict[str, str]
    reason: str = ""
    note: str = ""


def unsent_runs(starts: Sequence[str] = ()) -> list[Path]:
    """Returns the folders of runs with a journal, the oldest first.

    Args:
        starts: ids of runs, or starts of ids; none for all.

    Raises:
        MlrunError: no journal is of a run of that id.
    """
    folders = sorted(
        (path.parent for path in runs_folder().glob(f"*/{EVENTS}")),
        key=lambda folder: (folder / EVENTS).stat().st_mtime,
    )
    for start in starts:
        if not any(folder.name.startswith(start) for folder in folders):
            raise MlrunError(
                f"run {start}: nothing of it is waiting to be sent; mlrun sync without a run "
                "sends all that is"
            )
    return [f for f in folders if not starts or any(f.name.startswith(s) for s in starts)]


def send(
    folder: Path,
    wait: float,
    trouble: Callable[[str], None] = lambda reason: None,
    prepare: Callable[[Journal], None] = lambda journal: None,
) -> Sent:
    """Sends what a journal holds to the store that its run is in.

    Args:
        folder: of the run.
        wait: seconds to try a store that fails.
        trouble: called once with the reason, in another thread, when the store first fails.
        prepare: called with the journal, once it is opened and nobody else can write it.

    Raises:
        MlrunError: the journal cannot be read, its run is still going on, or the store does not
            answer or does not have the run.
    """
    journal = Journal(folder)
    try:
        run = journal.header
        prepare(journal)
        uri = address_for(run)
        store.let_us_wait()
        store.without_bars()
        store.check(uri)
        client, logged = patiently(lambda: opened(run, uri), Patience(wait, trouble))
        with quiet():
            outbox = outbox_of(journal, Sender(client, logged), uri)
            outbox.trouble = trouble
            outbox.start()
            left = outbox.close(wait)
            is_lost = not left and not journal.ended and logged.info.status == "RUNNING"
            gone = Presence("lost")
            note = about(client, run.run_id, logged.data.tags, gone) if is_lost else ""
    except MlrunError:
        raise
    except Exception as error:  # MLflow's own, SQLAlchemy's, a missing driver
        raise refusal(journal.header.address, error) from None
    finally:
        journal.settle()
    refused = dict(journal.refused.values())
    return Sent(run, journal.taken, left, refused, outbox.reason if left else "", note)


def opened(run: Header, uri: str) -> tuple[MlflowClient, Any]:
    """Returns a client of the store at `uri`, and the run as it is there.

    Raises:
        Busy: the store cannot be used yet; or what the client raises.
    """
    try:
        with silent():
            check_free(uri)
            client = MlflowClient(uri)
            return client, client.get_run(run.run_id)
    except Exception as error:
        raise error if isinstance(error, MlrunError) else refusal(run.address, error) from None


def address_for(run: Header) -> str:
    """Returns the address of the store that a run is in, with the secrets of the one in use.

    Raises:
        MlrunError: the store is a file that is not there.
    """
    uri = store.address()
    if store.public(uri) == run.address:
        return uri
    path = Path(run.address.removeprefix("sqlite:///"))
    if run.address.startswith("sqlite:///") and not path.exists():
        raise MlrunError(f"run {run.run_id}: its tracking store {path} is not there")
    return run.address


class Leftovers:
    """Sends, beside a run, what earlier ones could not send to the store at `uri`."""

    def __init__(self, uri: str) -> None:
        self._address = store.public(uri)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mlrun-leftovers", daemon=True)

    def start(self) -> None:
        """Starts to send, if there is something and a thread can be had."""
        if unsent_runs():
            with suppress(RuntimeError):
                self._thread.start()

    def stop(self) -> None:
        """Has the sending stop after the journal that it is at."""
        self._stop.set()

    def _run(self) -> None:
        for folder in unsent_runs():
            if self._stop.is_set():
                return
            with suppress(MlrunError, OSError):
                ledger = ledger_of(folder)
                kept_to_be_resumed = not ledger.unsent and has_state(folder)
                if ledger.run.address == self._address and not kept_to_be_resumed:
                    send(folder, PATIENCE)
