"""What `mlrun doctor` does about what it finds: ends lost runs, removes what nobody needs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from mlflow import MlflowClient

from mlrun.errors import MlrunError, one_line
from mlrun.finished.examination import finding_at, run_in, title_of
from mlrun.record import store
from mlrun.record.events import Event, end_tags
from mlrun.record.folders import in_bytes, remove, run_folder, size_of
from mlrun.record.journal import Journal
from mlrun.record.journal_files import EVENTS, LOCK, header_for
from mlrun.record.ledger import ledger_of
from mlrun.record.leftovers import send
from mlrun.record.lookup import answering
from mlrun.record.onward import onward
from mlrun.record.presence import is_of_another_host
from mlrun.record.saved import FOLDER, best_saved, weights_in
from mlrun.training.checkpoint_files import LAST

REASON = "its process was gone: killed, or its machine went down (found by mlrun doctor)"


def end_lost(client: MlflowClient, run_id: str, wait: float, trouble: Callable[[str], None]) -> str:
    """Sends what the journal of a run has, and ends the run; returns what was done, on one line.

    It ends as its journal records. Where that records no end, it is FAILED, and its checkpoints go
    to MLflow too. A run that another process took up or ended meanwhile is left alone.

    Args:
        client: of the store in use, which the run is in.
        run_id: of the run.
        wait: seconds to try a store that fails.
        trouble: called once with the reason, in another thread, when the store first fails.

    Raises:
        MlrunError: another process writes its journal, or the store does not answer.
    """
    with answering():
        run = client.get_run(run_id)
    if run.info.status != "RUNNING":
        return f"{title_of(run_id, run)}: it is {run.info.status} already"
    folder = run_folder(run_id)
    try:
        if not (folder / EVENTS).exists():  # it was killed before it had one, or that was deleted
            begin_journal(client, run)
        sent = send(folder, wait, trouble, partial(add_end, client))
    except (MlrunError, OSError) as error:
        with answering():
            run = client.get_run(run_id)
        if run.info.status != "RUNNING":  # another process ended it
            return f"{title_of(run_id, run)}: it is {run.info.status} already"
        raise error if isinstance(error, MlrunError) else MlrunError(one_line(error)) from None
    with answering():
        run = client.get_run(run_id)
        rest = ""
        if run.info.status in ("FAILED", "KILLED"):
            rest = f"; {onward(client, run_id, run.data.tags)}"
    if sent.left:
        rest = f"; {sent.left} events are left ({sent.reason}), send them with: mlrun sync {run_id}"
    return f"{title_of(run_id, run)}: {sent.sent} events sent, it is {run.info.status} now{rest}"


def begin_journal(client: MlflowClient, run: Any) -> None:
    """Makes the journal of a run without one, unless another process ended the run meanwhile."""
    folder = run_folder(run.info.run_id)
    journal = Journal(folder, header_for(run, store.public(client.tracking_uri)))
    with answering():
        run = client.get_run(run.info.run_id)
    if run.info.status != "RUNNING" and not journal.unread(1):
        remove(folder)
    journal.settle()


def add_end(client: MlflowClient, journal: Journal) -> None:
    """Adds its end to the journal of a lost run, unless it has one, or went on or ended elsewhere.

    The run ended when its journal was last written to.
    """
    run_id, ledger = journal.header.run_id, ledger_of(journal.folder)
    with answering():
        run = client.get_run(run_id)
        if run.info.status != "RUNNING" or is_of_another_host(run.data.tags) or ledger.waits:
            return
        files = sorted(weights_in(journal.folder.glob("*.pt")).values())
        best = best_saved(client, run_id, run.data.params)
    last = journal.folder / LAST
    events = [Event("artifact", f"{FOLDER}/{file.name}", file) for file in (*files, last)]
    if best is not None:
        events.append(Event("tag", "mlrun.best_epoch", str(best.epoch)))
    events += [Event("tag", *tag) for tag in end_tags("FAILED", REASON).items()]
    try:
        for event in events:
            if not isinstance(event.value, Path) or event.value.exists():
                journal.append(event)
        journal.append(Event("end", "status", "FAILED", timestamp=ledger.last))
    except OSError as error:
        raise MlrunError(f"{journal.folder}: cannot be written ({one_line(error)})") from None


def remove_folder(client: MlflowClient, run_id: str, *, asked: bool) -> tuple[str, int]:
    """Removes the folder of a run that nobody needs; returns what was done, and bytes freed.

    Whether nobody does is looked at again, while nobody else can write there.

    Args:
        client: of the store in use.
        run_id: of the run.
        asked: whether the user named the run, to give up what is unsent or could be resumed.
    """
    folder = run_folder(run_id)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError):
        return f"folder {folder}: in use by a process, it was left", 0
    try:
        with answering():
            run = run_in(client, run_id)
            finding = finding_at(client, run_id, run)
        if run is not None and run.info.status == "RUNNING":
            return f"folder {folder}: its run was taken up again, it was left", 0
        if finding.cure != "clean" and not (asked and finding.given_up):
            return finding.text, 0
        size = size_of(folder)
        remove(folder)
        return f"folder {folder}: removed, {in_bytes(size)}", size
    finally:
        lock.release()
