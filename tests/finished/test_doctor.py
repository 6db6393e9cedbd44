"""mlrun doctor: what it finds of runs and their folders, what it ends, and what it removes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
from lost import dead_process, journal_of, lost, opened, save, status
from mlflow import MlflowClient
from runs import artifacts, history
from waiting import until

from mlrun.finished.cures import REASON, end_lost, remove_folder
from mlrun.record.events import Event
from mlrun.record.folders import run_folder
from mlrun.record.journal import InUse
from mlrun.record.ledger import ledger_of
from mlrun.record.presence import HOST_TAG

Command = Callable[..., tuple[int, str, str]]
LOSS = Event("metric", "val/loss", 0.5, 1)


def tags(run_id: str) -> dict[str, str]:
    found: dict[str, str] = MlflowClient().get_run(run_id).data.tags
    return found


def test_a_lost_run_is_ended_with_what_it_had_and_can_go_on(store: str, command: Command) -> None:
    before = int(time.time() * 1000)
    run_id = lost(store, LOSS)
    folder = save(run_id, "last.pt", "epoch-1.pt")
    code, stdout, _ = command("doctor")
    assert code == 1
    on = f"go on with: mlrun resume {run_id}"
    assert stdout.startswith(f"run {run_id} (mine): it is lost, its process is gone; {on}; ")
    assert status(run_id) == "RUNNING"  # it only looked

    code, stdout, stderr = command("doctor", "--fix")
    assert code == 0, stderr
    first, second = stdout.splitlines()
    assert first == f"run {run_id} (mine): 7 events sent, it is FAILED now; {on}"
    assert second.startswith(f"folder {folder} (")
    assert f"): its run is FAILED, and can go on with: mlrun resume {run_id}; " in second
    run = MlflowClient().get_run(run_id)
    assert run.info.status == "FAILED"
    assert before <= run.info.end_time <= time.time() * 1000
    assert tags(run_id)["mlrun.status"] == "FAILED"
    assert tags(run_id)["mlrun.reason"] == REASON
    assert tags(run_id)["mlrun.best_epoch"] == "1"
    assert history(run_id, "val/loss") == [(1, 0.5)]
    assert artifacts(run_id, "checkpoints") == ["epoch-1.pt", "last.pt"]
    assert (folder / "last.pt").exists()
    assert command("doctor")[0] == 0


@pytest.mark.parametrize("where", ["previous.pt", "MLflow", "only settings", "nowhere"])
def test_how_it_goes_on_is_said_by_what_is_saved(
    store: str, home: Path, command: Command, where: str
) -> None:
    run_id = lost(store, LOSS)
    if where == "MLflow":
        (home / "last.pt").write_bytes(b"state")
        MlflowClient().log_artifact(run_id, str(home / "last.pt"), "checkpoints")
    elif where == "only settings":
        MlflowClient().log_text(run_id, "model: mlp", "settings.yaml")
    elif where != "nowhere":
        save(run_id, where)
    on = f"go on with: mlrun resume {run_id}"
    if where == "only settings":
        on = f"no state was saved, begin it again with: mlrun resume {run_id}"
    elif where == "nowhere":
        on = "nothing to go on from was saved"
    assert f"it is lost, its process is gone; {on}; end it" in command("runs")[2]
    _, stdout, _ = command("doctor", "--fix")
    assert stdout.splitlines()[0].endswith(f"it is FAILED now; {on}")
    assert run_folder(run_id).exists() == (where == "previous.pt")


def test_a_run_that_was_killed_before_it_had_a_folder_is_ended(
    store: str, command: Command
) -> None:
    run_id = opened(process=dead_process())
    assert command("doctor")[0] == 1
    code, stdout, _ = command("doctor", "--fix")
    assert (code, status(run_id)) == (0, "FAILED")
    assert stdout.endswith("it is FAILED now; nothing to go on from was saved\n")
    assert not run_folder(run_id).exists()


@pytest.mark.parametrize("how", ["FINISHED", "KILLED"])
def test_an_end_that_the_journal_records_wins(store: str, command: Command, how: str) -> None:
    tag, end = Event("tag", "mlrun.status", how), Event("end", "status", how, timestamp=12345)
    run_id = lost(store, LOSS, tag, end)
    code, stdout, _ = command("doctor")
    assert code == 1
    assert f"it ended {how}, which MLflow does not have yet" in stdout
    code, stdout, _ = command("doctor", "--fix")
    assert (code, status(run_id), tags(run_id)["mlrun.status"]) == (0, how, how)
    assert MlflowClient().get_run(run_id).info.end_time == 12345
    assert "mlrun.reason" not in tags(run_id)
    assert stdout.startswith(f"run {run_id} (mine): 3 events sent, it is {how} now")


def test_a_run_that_lasts_is_never_touched(store: str, command: Command) -> None:
    run_id = opened()
    journal = journal_of(run_id, store, LOSS)
    for options in (["--fix", "--clean"], ["--fix", "--clean", run_id]):
        code, stdout, stderr = command("doctor", *options)
        assert code == 0, stderr
        assert stdout.startswith(f"run {run_id} (mine): it is still running\n")
    with pytest.raises(InUse):
        end_lost(MlflowClient(), run_id, 5, print)  # it was lost when it was looked at
    assert "in use by a process" in remove_folder(MlflowClient(), run_id, asked=True)[0]
    assert (status(run_id), ledger_of(run_folder(run_id)).unsent) == ("RUNNING", 1)
    journal.settle()


def test_runs_of_other_hosts_are_listed_and_never_ended(store: str, command: Command) -> None:
    run_id = lost(store, LOSS, host="far")
    code, stdout, _ = command("doctor", "--fix", "--clean", run_id)
    assert (code, status(run_id)) == (0, "RUNNING")
    assert "it is still running on far, or was killed there; mlrun doctor tells on" in stdout
    assert run_folder(run_id).exists()


def test_a_run_that_nothing_is_known_of_is_ended_only_where_it_is_named(
    store: str, command: Command
) -> None:
    run_id = opened(host=None)  # of an older version
    code, stdout, _ = command("doctor", "--fix")
    assert (code, status(run_id)) == (0, "RUNNING")
    assert f"if it is gone, end it with: mlrun doctor --fix {run_id}" in stdout
    assert command("doctor", "--fix", run_id[:8])[0] == 0
    assert status(run_id) == "FAILED"


def test_a_run_that_went_on_elsewhere_meanwhile_is_not_ended(store: str) -> None:
    run_id = lost(store, LOSS)
    client = MlflowClient()
    client.set_tag(run_id, HOST_TAG, "far")
    assert end_lost(client, run_id, 5, print).endswith("1 events sent, it is RUNNING now")


def test_a_journal_that_cannot_be_read_is_named_and_left(store: str, command: Command) -> None:
    run_id = lost(store, LOSS)
    (run_folder(run_id) / "journal.jsonl").write_text("of a later version\n")
    code, _, stderr = command("doctor", "--fix")
    assert (code, status(run_id)) == (1, "RUNNING")
    assert stderr.startswith(f"Warning: run {run_id}: {run_folder(run_id)}/journal.jsonl: no ")
    assert (run_folder(run_id) / "journal.jsonl").read_text() == "of a later version\n"


def test_a_run_that_ended_meanwhile_stays_as_it_is(store: str) -> None:
    client, run_id = MlflowClient(), lost(store, LOSS)
    client.set_terminated(run_id, "FINISHED")
    assert end_lost(client, run_id, 5, print) == f"run {run_id} (mine): it is FINISHED already"
    assert "mlrun.reason" not in tags(run_id)


def test_two_doctors_at_once_end_a_run_once(store: str) -> None:
    ids = [lost(store, LOSS) for _ in range(2)]

    def end(run_id: str) -> str:
        try:
            return end_lost(MlflowClient(), run_id, 30, print)
        except InUse:
            return "in use"

    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(end, [*ids, *ids]))
    assert sum("4 events sent" in line for line in told) == 2
    for run_id in ids:
        assert (status(run_id), history(run_id, "val/loss")) == ("FAILED", [(1, 0.5)])
        assert not list(run_folder(run_id).glob("*.jsonl"))


def test_a_store_that_fails_meanwhile_leaves_the_end_to_sync(
    store: str, home: Path, command: Command
) -> None:
    run_id = lost(store, LOSS)
    save(run_id, "last.pt")
    (home / "mlruns").write_text("in the way of artifacts")
    code, stdout, _ = command("doctor", "--fix", "--wait", "1")
    assert code == 1
    assert f"send them with: mlrun sync {run_id}" in stdout
    assert status(run_id) == "RUNNING"
    (home / "mlruns").unlink()
    assert command("sync")[0] == 0
    assert (status(run_id), tags(run_id)["mlrun.reason"]) == ("FAILED", REASON)


def test_wrong_input_is_one_line(home: Path, command: Command) -> None:
    code, stdout, stderr = command("doctor")
    assert (code, stdout, stderr.count("\n")) == (2, "", 1)
    assert "there is none yet" in stderr


def test_a_run_there_is_not_is_named(store: str, command: Command) -> None:
    code, stdout, stderr = command("doctor", "--fix", "nothing")
    assert (code, stdout) == (2, "")
    assert stderr == (
        "Error: run nothing: it is not RUNNING in MLflow, and has no folder here; mlrun doctor "
        "without a run tells of all that are\n"
    )


def test_a_start_of_several_runs_names_none(store: str, command: Command) -> None:
    gone = dead_process()
    ids = sorted(lost(store, LOSS, process=gone) for _ in range(17))  # of 17 ids, two start alike
    start = next(a[0] for a, b in pairwise(ids) if a[0] == b[0])
    code, _, stderr = command("doctor", "--fix", "--clean", start)
    assert (code, stderr.count("\n")) == (2, 1)
    assert stderr.startswith(f"Error: several runs start with {start}: ")
    assert all(run_folder(run_id).exists() for run_id in ids)


def test_a_store_that_does_not_answer_is_one_line(
    home: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    code, stdout, stderr = command("doctor", "--fix")
    assert (code, stdout, stderr.count("\n")) == (2, "", 1)
    assert "tracking server http://127.0.0.1:9: it does not answer" in stderr


@pytest.mark.slow
def test_after_kills_at_any_moment_no_run_is_left_running(store: str, command: Command) -> None:
    options = ["--epochs", "100000", "--visualisers", "none", "--log-model", "false", "--quiet"]
    client = MlflowClient()
    for number in range(6):
        with subprocess.Popen([sys.executable, "-m", "mlrun", "train", *options]) as process:
            try:
                more = number + 1
                until(lambda n=more: len(client.search_runs(["0"])) == n, every=0.005)
                time.sleep(0.05 * number**2)  # from the first moment on, to the training
            finally:
                process.kill()
        assert process.returncode == -9
    assert {run.info.status for run in client.search_runs(["0"])} == {"RUNNING"}
    assert command("runs")[1].count("\tlost\t") == 6
    assert command("doctor")[0] == 1
    code, _, stderr = command("doctor", "--fix")
    assert code == 0, stderr
    assert {run.info.status for run in client.search_runs(["0"])} == {"FAILED"}
    for run in client.search_runs(["0"]):
        best = run.data.tags.get("mlrun.best_epoch")
        assert (best is None) == (artifacts(run.info.run_id, "checkpoints") == [])


@pytest.mark.parametrize("how", ["pipe", "bytes", "list"])
def test_a_journal_that_is_none_is_named_and_not_waited_for(
    store: str, command: Command, how: str
) -> None:
    run_id = lost(store, LOSS)
    path = run_folder(run_id) / "journal.jsonl"
    path.unlink()
    if how == "pipe":
        os.mkfifo(path)
    else:
        path.write_bytes({"bytes": b"\xff\0\n", "list": b"%08x [1]\n" % zlib.crc32(b"[1]")}[how])
    for args in (["doctor"], ["doctor", "--clean"], ["sync"], ["runs"]):
        code, _, stderr = command(*args)
        assert code in (0, 1)
        assert "Traceback" not in stderr
    no_file = "there is no journal of a run"
    reason = no_file if how == "pipe" else "no journal that this version of mlrun reads"
    assert reason in command("sync")[2]
