"""What became of the process of a run that MLflow has as RUNNING."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Callable

import pytest
from lost import dead_process, journal_of, lost, opened
from mlflow import MlflowClient
from runs import QUICK

import mlrun
from mlrun.record.events import Event
from mlrun.record.folders import run_folder
from mlrun.record.journal import Journal
from mlrun.record.ledger import ledger_of
from mlrun.record.presence import (
    HOST_TAG,
    PROCESS_TAG,
    STATE_TAG,
    Presence,
    is_held,
    look_after,
)

Command = Callable[..., tuple[int, str, str]]


def presence(run_id: str) -> Presence:
    client = MlflowClient()
    _, found = look_after(client, client.get_run(run_id))
    assert found is not None
    return found


def test_a_run_lasts_exactly_as_long_as_somebody_holds_its_lock(store: str) -> None:
    run_id = opened()
    journal = journal_of(run_id, store, Event("metric", "val/loss", 0.5, 1))
    assert presence(run_id).state == "alive"
    journal.settle()
    found = presence(run_id)
    assert (found.state, found.unsent) == ("lost", 1)
    assert found.last is not None
    assert abs(found.last / 1000 - time.time()) < 60


def test_an_end_that_the_journal_records_wins(store: str) -> None:
    run_id = lost(store, Event("metric", "val/loss", 0.5, 1), Event("end", "status", "KILLED"))
    found = presence(run_id)
    assert (found.state, found.end, found.unsent) == ("unsent", "KILLED", 2)


def test_an_end_from_before_a_run_went_on_is_none(store: str) -> None:
    run_id = opened(process=dead_process())
    journal = journal_of(run_id, store, Event("end", "status", "KILLED"))
    journal.acknowledge(journal.unread(10))
    journal.append(Event("metric", "val/loss", 0.5, 2))
    journal.settle()
    assert presence(run_id).state == "lost"


@pytest.mark.parametrize("folder", [True, False])
def test_a_run_of_another_host_is_never_lost_here(store: str, folder: bool) -> None:
    run_id = lost(store, host="far") if folder else opened(host="far", process=dead_process())
    assert presence(run_id) == Presence("elsewhere", "far")


def test_without_a_folder_it_is_lost_only_where_its_process_is_known_to_be_gone(store: str) -> None:
    assert presence(opened()).state == "unknown"  # it may be about to make its folder
    assert presence(opened(process=dead_process())).state == "lost"  # killed before it made it
    assert presence(opened(process="")).state == "unknown"
    assert presence(opened(process="9" * 30)).state == "unknown"
    assert presence(opened(host=None)).state == "unknown"  # of an older version
    elsewhere = opened(process=dead_process(), home="/srv/state")  # another MLRUN_HOME
    assert presence(elsewhere) == Presence("unknown", "/srv/state")


def test_a_run_of_the_training_says_which_process_and_state_folder_it_is_of(store: str) -> None:
    run = mlrun.train({**QUICK, "epochs": 0})
    tags = MlflowClient().get_run(run.run_id).data.tags
    assert tags[HOST_TAG] == platform.node()
    assert tags[PROCESS_TAG] == str(os.getpid())
    assert tags[STATE_TAG] == os.environ["MLRUN_HOME"]


def test_a_run_that_ended_since_it_was_listed_is_not_lost(store: str) -> None:
    client, run_id = MlflowClient(), lost(store)
    before = client.get_run(run_id)
    client.set_terminated(run_id, "FINISHED")
    run, found = look_after(client, before)
    assert (run.info.status, found) == ("FINISHED", None)


def test_a_journal_that_cannot_be_read_records_no_end(store: str) -> None:
    run_id = lost(store, Event("end", "status", "KILLED"))
    (run_folder(run_id) / "journal.jsonl").write_bytes(b"00000000 {}\n")
    assert presence(run_id) == Presence("lost")


def test_who_looks_whether_a_run_lasts_does_not_keep_it_from_being_opened(store: str) -> None:
    run_id, over = lost(store), threading.Event()

    def look() -> None:
        while not over.is_set():
            is_held(run_folder(run_id))
            time.sleep(0.001)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for _ in range(200):  # none raises InUse
            journal = Journal(run_folder(run_id))
            assert journal.header.run_id == run_id
            journal.settle()
    finally:
        over.set()
        looking.join()


def test_a_ledger_counts_what_has_no_answer_and_what_was_refused(store: str) -> None:
    run_id = opened()
    events = [Event("metric", name, 1.0) for name in ("a", "b", "c")]
    journal = journal_of(run_id, store, *events)
    first, second, _ = journal.unread(10)
    journal.acknowledge([first])
    journal.refuse(second, "no")
    found = ledger_of(run_folder(run_id))
    assert (found.run, found.unsent, found.refused) == (journal.header, 1, {"b": "no"})
    assert (found.end, found.end_sent, found.damaged) == ("", False, 0)
    journal.settle()


def test_runs_lists_them_and_says_what_to_do(store: str, command: Command) -> None:
    gone = lost(store, Event("metric", "val/loss", 0.5, 1))
    (run_folder(gone) / "last.pt").write_bytes(b"state")
    nothing = opened(process=dead_process())
    ended = lost(store, Event("end", "status", "FINISHED"))
    far = opened(host="far")
    code, stdout, stderr = command("runs")
    assert code == 0
    rows = {line.split("\t")[0]: line.split("\t")[5] for line in stdout.splitlines()[1:]}
    assert rows == {gone: "lost", nothing: "lost", ended: "unsent", far: "RUNNING"}
    assert sorted(stderr.splitlines()) == sorted(
        [
            f"run {gone}: it is lost, its process is gone; go on with: mlrun resume {gone}; end it "
            f"with: mlrun doctor --fix; 1 of its events are unsent, send them with: mlrun sync "
            f"{gone}",
            f"run {nothing}: it is lost, its process is gone; nothing to go on from was saved; end "
            "it with: mlrun doctor --fix",
            f"run {ended}: it ended FINISHED, which MLflow does not have yet; 1 of its events are "
            f"unsent, send them with: mlrun sync {ended}",
        ]
    )
