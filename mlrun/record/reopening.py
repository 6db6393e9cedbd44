"""Takes up a run that ended before it was finished, in the store that it is in."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from mlrun.errors import MlrunError
from mlrun.record import store
from mlrun.record.colours import COLOUR_TAG
from mlrun.record.earlier import earlier_of
from mlrun.record.events import REASON_TAG, STATUS_TAG
from mlrun.record.failures import PREFIX
from mlrun.record.folders import run_folder
from mlrun.record.journal import InUse, Journal
from mlrun.record.journal_files import EVENTS, header_for
from mlrun.record.leftovers import send
from mlrun.record.noise import silent
from mlrun.record.presence import LAUNCH_TAG, process_tags
from mlrun.record.sending import view_of
from mlrun.record.tracking import Tracker
from mlrun.record.waiting import alone, check_free, patiently, refusal

PATIENCE = 60.0  # seconds: how long a store that fails is tried, before a run is taken up
END_TAGS = (STATUS_TAG, REASON_TAG, "mlrun.stopped")
LEFT_OUT = "left out as the run was ended"  # the end of the reason of pictures that come now


def send_rest(run_id: str, trouble: Callable[[str], None]) -> None:
    """Sends what a run that ended logged and could not send, so that the store has all of it.

    Raises:
        MlrunError: the run is still going on here, or the store does not take it.
    """
    if not (run_folder(run_id) / EVENTS).is_file():
        return
    try:
        sent = send(run_folder(run_id), PATIENCE, trouble)
    except InUse:
        raise still_going_on(run_id) from None
    if sent.left:
        raise MlrunError(
            f"run {run_id}: {sent.left} of its events are not in the tracking store yet "
            f"({sent.reason}); try again when it answers"
        )


def still_going_on(run_id: str) -> MlrunError:
    """Returns the error for a run that another process is at."""
    return MlrunError(
        f"run {run_id} is still going on in another process; only one that ended can be taken up"
    )


def reopen_run(run_id: str) -> Tracker:
    """Opens a run again that ended, and makes it `RUNNING`.

    Raises:
        MlrunError: another process is at it, or the store cannot be used within two minutes.
    """
    uri = store.address()
    store.let_us_wait()
    return patiently(lambda: reopened(uri, run_id), late=end_again)


def end_again(tracker: Tracker) -> None:
    """Ends a run that was opened again when nobody waited for it any more."""
    tracker.close("KILLED", "interrupted as it was opened again")
    tracker.settle()


def reopened(uri: str, run_id: str) -> Tracker:
    """Returns the tracker of a run in the store at `uri` that was opened again.

    Raises:
        Busy: the store cannot be used yet.
        MlrunError: as `reopen_run` says.
    """
    try:
        with silent(), alone(uri):
            check_free(uri)
            with store.artifacts_beside(uri):
                client = MlflowClient(uri)
            run = client.get_run(run_id)
        journal = journal_of(run, uri)
        try:
            with silent():
                earlier = earlier_of(client, run, journal)
                begin_again(client, run)
                run = client.get_run(run_id)
                viewed = view_of(client, run.info.experiment_id) is not None
            tracker = Tracker(client, uri, run, journal, earlier, has_view=viewed)
            if COLOUR_TAG not in run.data.tags:  # it was killed as it was opened
                tracker.settle_in()
            return tracker
        except BaseException:
            journal.settle()
            raise
    except MlrunError:
        raise
    except Exception as error:  # MLflow's own, SQLAlchemy's, a full disk
        raise refusal(uri, error) from None


def journal_of(run: Any, uri: str) -> Journal:
    """Returns the journal of a run that ended, or a new one, to be written on."""
    run_id = run.info.run_id
    try:
        journal = Journal(run_folder(run_id), header_for(run, store.public(uri)))
    except InUse:
        raise still_going_on(run_id) from None
    journal.take_up()
    return journal


def begin_again(client: MlflowClient, run: Any) -> None:
    """Makes a run `RUNNING` in this process, and takes back what was said of its end."""
    run_id, tags = run.info.run_id, run.data.tags
    process = process_tags()
    client.update_run(run_id, status="RUNNING")
    for name, text in process.items():
        client.set_tag(run_id, name, text)
    late = [n for n, text in tags.items() if n.startswith(PREFIX) and text.endswith(LEFT_OUT)]
    for name in (*END_TAGS, *late, LAUNCH_TAG):
        if name in tags and name not in process:
            with suppress(MlflowException):  # somebody else has deleted it
                client.delete_tag(run_id, name)
