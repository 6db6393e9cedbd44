"""mlrun doctor on the folders of runs: which it removes, and which only where it is asked for."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from lost import dead_process, journal_of, lost, opened, save, status
from mlflow import MlflowClient

from mlrun.finished.cures import remove_folder
from mlrun.record.events import Event
from mlrun.record.folders import run_folder, runs_folder
from mlrun.record.journal import Journal

Command = Callable[..., tuple[int, str, str]]
LOSS = Event("metric", "val/loss", 0.5, 1)


def ended(store: str, how: str = "FINISHED") -> str:
    """The id of a run that ended, and whose folder stayed though MLflow has all of it."""
    run_id = opened()
    journal = journal_of(run_id, store, LOSS, Event("end", "status", how))
    journal.acknowledge(journal.unread(9))
    save(run_id, "last.pt")
    del journal  # as a kill before the folder was removed
    MlflowClient().set_terminated(run_id, how)
    return run_id


def test_a_state_folder_that_cannot_be_written_is_named(store: str, command: Command) -> None:
    run_id = opened(process=dead_process())
    runs_folder().mkdir(parents=True)
    run_folder(run_id).write_text("in the way")
    code, _, stderr = command("doctor", "--fix")
    assert (code, stderr.count("\n")) == (1, 1)
    assert stderr.startswith(f"Warning: run {run_id}: FileExistsError: ")
    shutil.rmtree(runs_folder())
    runs_folder().write_text("in the way")
    code, _, stderr = command("doctor", "--fix")
    assert (code, stderr.count("\n")) == (2, 1)
    assert stderr.startswith(f"Error: cannot list {runs_folder()} (NotADirectoryError: ")


def test_one_of_another_state_folder_names_it(store: str, command: Command) -> None:
    run_id = opened(process=dead_process(), home="/srv/state")
    code, stdout, _ = command("doctor", "--fix")
    assert (code, status(run_id)) == (0, "RUNNING")
    assert "nothing of it is here, it is of MLRUN_HOME=/srv/state; if it is gone, end" in stdout


def test_folders_that_nobody_needs_are_removed_where_it_is_asked_for(
    store: str, command: Command
) -> None:
    finished, deleted = ended(store), ended(store, "KILLED")
    MlflowClient().delete_run(deleted)
    code, stdout, _ = command("doctor")
    assert code == 1
    assert (
        ": its run is FINISHED, and all of it is in MLflow; remove it with: mlrun doctor" in stdout
    )
    assert ": its run was deleted in MLflow; remove it with: mlrun doctor --clean" in stdout
    assert run_folder(finished).exists()
    code, stdout, stderr = command("doctor", "--clean")
    assert code == 0
    assert stdout.count(": removed, ") == 2
    assert " freed\n" in stderr
    assert not run_folder(finished).exists()
    assert not run_folder(deleted).exists()


def kept(store: str, home: Path, kind: str) -> tuple[str, str]:
    """The id of a run whose folder holds something, and what is told of it."""
    client = MlflowClient()
    if kind == "resumable":
        return ended(store, "KILLED"), "its run is KILLED, and can go on with: mlrun resume "
    if kind == "refused":
        run_id = ended(store)
        journal = Journal(run_folder(run_id))
        journal.append(Event("metric", "late", 1.0))
        journal.refuse(journal.unread(9)[0], "no")
        del journal
        return run_id, "it has what MLflow does not take: late (no); "
    if kind == "no run":
        return str(shutil.move(run_folder(ended(store)), run_folder("0" * 32)).name), (
            "MLflow has no run of this id any more; "
        )
    where = f"sqlite:///{home / 'other.db'}" if kind.endswith("store") else store
    run_id = lost(where, LOSS, Event("end", "status", "FINISHED"))
    client.set_terminated(run_id, "FINISHED")
    if kind == "deleted, unsent":
        client.delete_run(run_id)
        return run_id, "its run was deleted in MLflow; 2 of its events are unsent; restore it with"
    if kind == "no store":
        return run_id, "its store " + f"{home / 'other.db'} is not there ("
    if kind == "other store":
        (home / "other.db").touch()
        return run_id, f"2 of its events are unsent, for the store sqlite:///{home}/other.db; send "
    return run_id, "2 of its events are unsent, send them with: mlrun sync "


@pytest.mark.parametrize(
    "kind",
    ["resumable", "refused", "no run", "unsent", "deleted, unsent", "no store", "other store"],
)
def test_what_is_unsent_or_could_go_on_is_removed_only_where_it_is_named(
    store: str, home: Path, command: Command, kind: str
) -> None:
    run_id, told = kept(store, home, kind)
    files = sorted(run_folder(run_id).rglob("*"))
    for options in ([], ["--fix"], ["--clean"], ["--fix", "--clean"]):
        code, stdout, stderr = command("doctor", *options)
        assert told in stdout, stderr
        assert code == ("unsent" in kind or "store" in kind)
        assert set(files) <= set(run_folder(run_id).rglob("*"))
    code, stdout, _ = command("doctor", "--clean", run_id)
    assert run_folder(run_id).exists() == (kind == "other store")
    if kind != "other store":
        assert code == 0
        assert stdout.startswith(f"folder {run_folder(run_id)}: removed, ")


def test_a_lost_run_keeps_its_folder_until_it_is_ended(store: str, command: Command) -> None:
    run_id = lost(store, LOSS)
    save(run_id, "last.pt")
    assert command("doctor", "--clean", run_id)[0] == 1
    told, size = remove_folder(MlflowClient(), run_id, asked=True)  # it had ended, and went on
    assert (told, size) == (
        f"folder {run_folder(run_id)}: its run was taken up again, it was left",
        0,
    )
    assert (run_folder(run_id) / "last.pt").exists()
    assert command("doctor", "--fix", "--clean", run_id)[0] == 0
    assert not run_folder(run_id).exists()
    assert status(run_id) == "FAILED"


def test_a_folder_that_is_none_of_a_run_is_left(store: str, command: Command) -> None:
    for name in ("new", "odd"):  # a run may be about to begin in the first
        run_folder(name).mkdir(parents=True)
    (run_folder("odd") / "journal.jsonl").write_text("no journal\n")
    code, stdout, _ = command("doctor", "--clean")
    assert code == 0
    assert stdout.count("it is left as it is: ") == 1
    assert run_folder("new").exists()
    assert (run_folder("odd") / "journal.jsonl").exists()
