"""mlrun.train where the store does not take everything: nothing is lost, and it is sent later."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from mlflow import MlflowClient
from runs import QUICK, Recorder, only_run, without
from waiting import until

import mlrun
from mlrun.errors import RunFailed
from mlrun.record.events import Event
from mlrun.record.folders import run_folder
from mlrun.record.journal import Journal
from mlrun.record.journal_files import EVENTS, Header
from mlrun.record.store import public

BRIEF = {**QUICK, "sync_wait": 1}


@pytest.fixture
def bar(store: str, home: Path) -> Path:
    """A file that bars the folder of artifacts, so that the store takes everything but files."""
    path = home / "mlruns"
    path.write_text("in the way")
    return path


def files(run_id: str, folder: str = "") -> list[str]:
    found = []
    for item in MlflowClient().list_artifacts(run_id, folder):
        found += files(run_id, item.path) if item.is_dir else [item.path]
    return sorted(re.sub(r"\+timestamp.*(?=[.+])", "", path) for path in found)


def test_a_run_that_trained_well_finishes_whatever_the_store_takes(
    bar: Path, command: Callable[..., tuple[int, str, str]]
) -> None:
    told = Recorder()
    run = mlrun.train(BRIEF, progress=told)
    assert run.unsent > 5
    assert any(
        re.fullmatch(
            rf"{run.unsent} events of the run are not in the tracking store yet \(.*\); they are "
            rf"kept, send them with: mlrun sync {run.run_id}",
            line,
        )
        for line in told.lines
    )
    assert (run_folder(run.run_id) / "last.pt").exists()
    assert only_run().info.status == "RUNNING"  # what is in the store is not all

    code, stdout, stderr = command("sync", "--wait", "1")
    assert code == 1
    assert re.search(rf"run {run.run_id} \(.*\): 0 events sent, {run.unsent} are left", stdout)

    bar.unlink()
    code, stdout, stderr = command("sync", run.run_id[:8])
    assert code == 0, stderr
    assert stdout == f"run {run.run_id} ({run.name}): {run.unsent} events sent, nothing is left\n"
    assert only_run().info.status == "FINISHED"
    assert not run_folder(run.run_id).exists()

    undisturbed = mlrun.train(BRIEF)
    assert undisturbed.unsent == 0
    assert files(run.run_id) == files(undisturbed.run_id)
    code, stdout, stderr = command("sync")
    assert (code, stdout, stderr) == (0, "", "nothing is waiting to be sent\n")
    code, stdout, stderr = command("sync", "nothing")
    assert code == 2
    assert "run nothing: nothing of it is waiting to be sent" in stderr


def test_the_next_run_sends_what_an_earlier_one_left(bar: Path) -> None:
    first = mlrun.train(BRIEF)
    bar.unlink()
    mlrun.train(BRIEF)
    until(lambda: not run_folder(first.run_id).exists())
    assert MlflowClient().get_run(first.run_id).info.status == "FINISHED"


def test_the_command_exits_0_where_the_training_succeeded(
    bar: Path, command: Callable[..., tuple[int, str, str]]
) -> None:
    options = ["--model", "logistic", "--visualisers", "none", "--log-model", "false"]
    options += ["--sync-wait", "1"]
    code, stdout, stderr = command("train", "--epochs", "1", "--quiet", *options)
    assert code == 0
    assert stdout == f"{only_run().info.run_id}\n"
    assert "send them with: mlrun sync" in stderr


def test_a_failed_run_of_which_something_is_left_keeps_its_own_reason(bar: Path) -> None:
    settings = {"model": "logistic", "optimiser": "sgd", "lr": 1e38, "batch_size": 2000}
    told = Recorder()
    with pytest.raises(RunFailed, match="the validation loss is "):
        mlrun.train({**without(BRIEF, "model.widths"), **settings}, progress=told)
    run = only_run()
    assert run.data.tags["mlrun.reason"].startswith("the validation loss is ")
    assert any("send them with: mlrun sync" in line for line in told.lines)


class Filling(Recorder):
    """Fills the disk for the journal of the run, once a line or an epoch says so."""

    def __init__(self, moment: str) -> None:
        super().__init__()
        self.moment = moment

    def note(self, text: str) -> None:
        super().note(text)
        self.fill(text)

    def epoch(self, epoch: int, metrics: object) -> None:
        self.fill(f"epoch {epoch}")

    def fill(self, text: str) -> None:
        if not text.startswith(self.moment):
            return
        for link in Path("/proc/self/fd").iterdir():
            with suppress(FileNotFoundError):  # of the listing itself
                if link.readlink().name == EVENTS:
                    full = os.open("/dev/full", os.O_RDWR)
                    os.dup2(full, int(link.name))
                    os.close(full)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="it needs Linux's full device")
@pytest.mark.parametrize("moment", ["run ", "epoch 1", "test (best weights"])
def test_a_run_whose_record_cannot_be_written_does_not_end_finished(
    store: str, moment: str
) -> None:
    reason = "the record of the run cannot be written: disk full"
    with pytest.raises(RunFailed, match=reason):
        mlrun.train({**BRIEF, "epochs": 2}, progress=Filling(moment))
    run = only_run()
    assert run.info.status == "FAILED"  # the end is sent without the journal
    assert run.data.tags["mlrun.reason"].startswith(reason)


def test_what_lasts_or_was_killed_is_not_named_by_sync_unless_asked_for(
    store: str, command: Callable[..., tuple[int, str, str]]
) -> None:
    run = mlrun.train(BRIEF)
    header = Header(run.run_id, "0", "mine", public(store), 0)
    journal = Journal(run_folder(run.run_id), header)
    journal.append(Event("metric", "late", 1.0))
    assert command("sync") == (0, "", "nothing is waiting to be sent\n")
    code, _, stderr = command("sync", run.run_id)
    assert code == 1
    assert "another process writes this run's journal" in stderr
    journal.settle()  # it was killed: there is no end
    client, gone = MlflowClient(), "it is lost, its process is gone; "
    client.update_run(run.run_id, status="RUNNING")  # as a kill leaves it
    line = f"run {run.run_id} (mine): {{}} events sent, nothing is left\n"
    code, stdout, stderr = command("sync")
    assert (code, stdout) == (0, line.format(1))
    assert stderr.startswith(f"run {run.run_id}: {gone}go on with: mlrun resume {run.run_id}; ")
    assert command("sync") == (0, "", "nothing is waiting to be sent\n")
    client.set_terminated(run.run_id)  # by hand, say
    assert command("sync", run.run_id) == (0, line.format(0), "")
