"""What `mlrun doctor` finds: runs without an end, folders and caches, and what to do about each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from mlrun.errors import MlrunError, one_line
from mlrun.record import store
from mlrun.record.experiments import ABSENT
from mlrun.record.folders import in_bytes, run_folder, runs_folder, size_of
from mlrun.record.journal_files import EVENTS, LOCK
from mlrun.record.ledger import Ledger, ledger_of
from mlrun.record.logged import OURS
from mlrun.record.lookup import answering
from mlrun.record.presence import about, is_held, look_after
from mlrun.record.saved import has_state

Cure = Literal["", "fix", "sync", "clean"]
AT_ONCE = 1000  # runs in one answer of MLflow


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    run_id: of the run that it is about.
    text: about it, for the user, on one line.
    cure: what mends it, of `mlrun doctor --fix`, `mlrun sync` and `mlrun doctor --clean`; empty
        where nothing need be done.
    given_up: whether `--clean` may remove its folder where the run is named.
    ended: whether `--fix` may end it where the run is named.
    """

    run_id: str
    text: str
    cure: Cure = ""
    given_up: bool = False
    ended: bool = False


def examine(client: MlflowClient, starts: Sequence[str] = ()) -> list[Finding]:
    """Returns what is found of the runs in the store, and of those with a folder here.

    Args:
        client: of the store in use.
        starts: ids of runs, or unique starts of ids; none for all.

    Raises:
        MlrunError: the store does not answer, or no such run has a folder here or lasts, or
            several do.
    """
    with answering():
        runs = {run.info.run_id: run for run in running(client)}
    ids = [*runs, *(folder.name for folder in folders_here() if folder.name not in runs)]
    asked = [the_one(start, ids) for start in starts] or ids
    with answering():
        findings = [finding_of(client, run_id, runs.get(run_id)) for run_id in asked]
    return [finding for finding in findings if finding is not None]


def the_one(start: str, ids: Sequence[str]) -> str:
    """Returns the id that starts so; raises MlrunError unless it is exactly one."""
    matches = [run_id for run_id in ids if run_id.startswith(start.strip().lower())]
    if not matches:
        raise MlrunError(
            f"run {start}: it is not RUNNING in MLflow, and has no folder here; mlrun doctor "
            "without a run tells of all that are"
        )
    if len(matches) > 1:
        more = ", …" if len(matches) > 3 else ""
        raise MlrunError(
            f"several runs start with {start}: {', '.join(matches[:3])}{more}; give more of it"
        )
    return matches[0]


def running(client: MlflowClient) -> Iterator[Any]:
    """Yields mlrun's runs that MLflow has as RUNNING, the oldest first."""
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    query, order = f"{OURS} and attributes.status = 'RUNNING'", ["attributes.start_time ASC"]
    token = None
    while ids:
        page = client.search_runs(ids, query, max_results=AT_ONCE, order_by=order, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def folders_here() -> list[Path]:
    """Returns the folders of runs, by name; raises MlrunError where they cannot be listed."""
    try:
        return sorted(path for path in runs_folder().iterdir() if path.is_dir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise MlrunError(
            f"cannot list {runs_folder()} ({one_line(error)}); set MLRUN_HOME to another folder"
        ) from None


def finding_of(client: MlflowClient, run_id: str, run: Any | None = None) -> Finding | None:
    """Returns what is found of one run; None of one that ended well and left nothing here.

    Args:
        client: of the store in use.
        run_id: of the run.
        run: as MLflow gave it, if it did.
    """
    run = run or run_in(client, run_id)
    if run is not None and run.info.lifecycle_stage == "active":
        run, presence = look_after(client, run)
        if presence is not None:
            text = about(client, run_id, run.data.tags, presence)
            if presence.state == "unknown":
                text += f"; if it is gone, end it with: mlrun doctor --fix {run_id}"
            cure: Cure = "fix" if presence.is_gone else ""
            return Finding(
                run_id, f"{title_of(run_id, run)}: {text}", cure, ended=presence.state == "unknown"
            )
    folder = run_folder(run_id)
    if not folder.exists() or {path.name for path in folder.iterdir()} <= {LOCK}:
        return None
    if is_held(folder):
        return Finding(run_id, f"{at(folder)}: in use by a process")
    return finding_at(client, run_id, run)


def finding_at(client: MlflowClient, run_id: str, run: Any | None) -> Finding:
    """Returns what is found of a folder that nobody writes, of a run that does not last.

    Args:
        client: of the store in use.
        run_id: of the run.
        run: as this store has it now; None where it has none of that id.
    """
    folder = run_folder(run_id)
    ledger = None
    if (folder / EVENTS).exists():
        try:
            ledger = ledger_of(folder)
        except MlrunError as error:
            return Finding(run_id, f"{at(folder)}: it is left as it is: {error}")
    elif run is None:
        return Finding(run_id, f"{at(folder)}: it is left as it is: no journal says what it is of")
    if ledger is not None and ledger.run.address != store.public(client.tracking_uri):
        return of_another_store(folder, ledger)
    if run is not None and run.info.lifecycle_stage == "active":
        return of_ended_run(folder, run.info.status, ledger)
    unsent = ledger.unsent if ledger else 0
    unsent_events = f"{unsent} of its events are unsent; " if unsent else ""
    if run is None:
        text = f"MLflow has no run of this id any more; {unsent_events}{giving_up(run_id)}"
    elif unsent:
        text = (
            f"its run was deleted in MLflow; {unsent_events}restore it with: mlflow runs restore "
            f"--run-id {run_id}, or {giving_up(run_id)}"
        )
    else:
        return removable(folder, "its run was deleted in MLflow")
    return Finding(run_id, f"{at(folder)}: {text}", "sync" if unsent else "", given_up=True)


def of_ended_run(folder: Path, status: str, ledger: Ledger | None) -> Finding:
    """Returns what is found of the folder of a run of the store in use that ended."""
    run_id = folder.name
    if ledger is not None and ledger.unsent:
        text = f"{ledger.unsent} of its events are unsent, send them with: mlrun sync {run_id}"
        return Finding(run_id, f"{at(folder)}: {text}", "sync", given_up=True)
    return settled(folder, status, ledger)


def settled(folder: Path, status: str, ledger: Ledger | None) -> Finding:
    """Returns what is found of the folder of a run that ended, and of which nothing is unsent."""
    run_id = folder.name
    if status != "FINISHED" and has_state(folder):
        text = f"its run is {status}, and can go on with: mlrun resume {run_id}"
    elif ledger is not None and (ledger.refused or ledger.damaged):
        lost = [f"{name} ({reason})" for name, reason in ledger.refused.items()]
        lost += [f"{ledger.damaged} damaged lines"] if ledger.damaged else []
        text = f"it has what MLflow does not take: {', '.join(lost)}"
    else:
        return removable(folder, f"its run is {status}, and all of it is in MLflow")
    return Finding(run_id, f"{at(folder)}: {text}; {giving_up(run_id)}", given_up=True)


def of_another_store(folder: Path, ledger: Ledger) -> Finding:
    """Returns what is found of the folder of a run of another store than the one in use."""
    run_id, address = folder.name, ledger.run.address
    if ledger.end_sent and not ledger.unsent:
        return settled(folder, ledger.end, ledger)
    path = Path(address.removeprefix("sqlite:///"))
    there = not address.startswith("sqlite:///") or path.exists()
    unsent_events = f"{ledger.unsent} of its events are unsent"
    if not there:
        why = f"its store {path} is not there (moved, deleted, or its disk is away)"
        text = f"{why}; {unsent_events}"
        cure: Cure = "sync" if ledger.unsent else ""
        return Finding(run_id, f"{at(folder)}: {text}; {giving_up(run_id)}", cure, given_up=True)
    if ledger.unsent and ledger.end:
        text = f"{unsent_events}, for the store {address}; send them with: mlrun sync {run_id}"
        return Finding(run_id, f"{at(folder)}: {text}", "sync")
    text = f"{unsent_events}, and it has no end; in its store, mlrun doctor tells more: {address}"
    return Finding(run_id, f"{at(folder)}: {text}")


def removable(folder: Path, why: str) -> Finding:
    """Returns the finding of a folder that nobody needs."""
    text = f"{at(folder)}: {why}; remove it with: mlrun doctor --clean"
    return Finding(folder.name, text, "clean", given_up=True)


def giving_up(run_id: str) -> str:
    """Returns how to remove a folder that is only removed where the user names its run."""
    return f"give its folder up with: mlrun doctor --clean {run_id}"


def run_in(client: MlflowClient, run_id: str) -> Any | None:
    """Returns the run of that id as MLflow has it, deleted ones too; None where there is none."""
    try:
        return client.get_run(run_id)
    except MlflowException as error:
        if error.error_code not in ABSENT:
            raise
    return None


def title_of(run_id: str, run: Any) -> str:
    """Returns a run as it is named to the user."""
    return f"run {run_id} ({run.info.run_name or run_id[:8]})"


def at(folder: Path) -> str:
    """Returns the folder of a run as it is named to the user, with its size."""
    return f"folder {folder} ({in_bytes(size_of(folder))})"
