"""Several runs that did not all finish go on: those that did are not trained again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlrun.errors import MlrunError
from mlrun.finished.cures import end_lost
from mlrun.finished.plan_again import plan_again
from mlrun.finished.resume import resume
from mlrun.finished.returned import returned
from mlrun.finished.unfinished import changed_settings, complete, newest
from mlrun.record import store
from mlrun.record.families import FAMILY_TAG, MEMBER_TAG, children_of, is_parent
from mlrun.record.logged import OURS, LoggedRun, find_any_run, find_run
from mlrun.record.lookup import answering, open_store
from mlrun.record.onward import has_settings, onward
from mlrun.record.reopening import PATIENCE, send_rest
from mlrun.running.progress import Progress
from mlrun.running.run import Run
from mlrun.sweeps.family import Family
from mlrun.sweeps.members import Asked, Member, asked_again

MEMBERS_TAG = "mlrun.members"  # of a parent: the seeds, with commas between, or how many folds
KINDS = ("seeds", "folds")


@dataclass(frozen=True)
class Again:
    """What of a run that goes on lies elsewhere now; see `resume`, which takes the same."""

    plugins: tuple[Path, ...] = ()
    data_dir: Path | None = None
    device: str | None = None
    options: Mapping[str, object] = field(default_factory=dict)
    gone: bool = False

    @property
    def arguments(self) -> dict[str, Any]:
        """Those that `plan_again` takes, too."""
        return {
            "plugins": self.plugins,
            "data_dir": self.data_dir,
            "device": self.device,
            "options": self.options,
        }


def parent_of_several(reference: str) -> LoggedRun | None:
    """Returns the run of that id if it is the parent of several runs; None if it is another one.

    Raises:
        MlrunError: there is none, or the store does not answer.
    """
    run = find_any_run(reference)
    return run if is_parent(run.tags) else None


def asked_by(parent: LoggedRun, again: Again, progress: Progress) -> tuple[Asked, LoggedRun]:
    """Returns the runs that a parent was opened for, and the parent once the store has all of it.

    Raises:
        MlrunError: it is finished, still going on, of a kind that goes on otherwise, or its plan
            cannot be made again here.
    """
    kind = parent.tags[FAMILY_TAG]
    if kind not in KINDS:
        raise MlrunError(
            f"run {parent.run_id} is the parent of a {kind}; "
            f"{onward(parent.client, parent.run_id, parent.tags)}"
        )
    parent = at_rest(parent, again)
    if parent.status == "FINISHED":
        raise MlrunError(f"run {parent.run_id} is finished, and so is each of its {kind}")
    plan = plan_again(parent, **again.arguments)
    for text in plan.registry.complaints():
        progress.warn(text)
    return asked_again(kind, parent.tags[MEMBERS_TAG], plan), parent


def at_rest(run: LoggedRun, again: Again) -> LoggedRun:
    """Returns a run that nobody is at, once the store has all of it; raises MlrunError if not."""
    if run.presence is not None and not run.presence.is_gone and not again.gone:
        raise MlrunError(
            f"run {run.run_id}: {run.why_none()}; if you know that its process is gone, go on "
            f"with --gone"
        )
    if run.presence is None or run.presence.unsent:
        send_rest(run.run_id, lambda reason: None)
        run = find_any_run(run.run_id)
    return run


def unfinished_parent(asked: Asked, which: str, progress: Progress) -> LoggedRun | None:
    """Returns the parent of such runs that is not finished, nor going on.

    Args:
        asked: the runs; the parent has the same, of the same settings.
        which: `auto` for the last one of the experiment, None where there is none; or an id.
        progress: who is told that there is none.

    Raises:
        MlrunError: the one that is named is no such parent, or the store does not answer.
    """
    if which != "auto":
        parent = find_any_run(which)
        other = difference(asked, parent)
        if other:
            raise MlrunError(f"run {parent.run_id} {other}; leave --resume out to start anew")
        return at_rest(parent, Again())
    wanted = f"{OURS} and tags.`{FAMILY_TAG}` = '{asked.kind}' and attributes.status != 'FINISHED'"
    experiment = asked.plan.settings.experiment
    started = not store.first_use(store.address())
    for run_id in newest(open_store(), experiment, wanted, parents=True) if started else ():
        run = find_any_run(run_id)
        if run.presence is not None and not run.presence.is_gone:
            continue
        try:
            run = complete(run, progress)
            other = difference(asked, run)
        except MlrunError as error:
            progress.note(f"not resumed: {error}")
            continue
        if not other and run.status != "FINISHED":
            return run
    progress.note(f"no unfinished {asked.kind} of these settings: new runs are started")
    return None


def difference(asked: Asked, parent: LoggedRun) -> str:
    """Returns how a run is not the parent of the runs that are asked for; empty if it is."""
    kind = parent.tags.get(FAMILY_TAG)
    if kind != asked.kind:
        return f"is no parent of {asked.kind}"
    numbers = parent.tags.get(MEMBERS_TAG, "")
    if numbers != asked.numbers:
        return f"has {kind} {numbers}, not {asked.numbers}"
    changed = changed_settings(asked.plan, parent)
    return f"has other settings: {', '.join(changed)}" if changed else ""


def earlier_runs(parent: LoggedRun, again: Again) -> dict[str, LoggedRun]:
    """Returns the runs that a parent has, by their name among them; of several the last.

    The store has all of each, and nobody is at it.

    Raises:
        MlrunError: one is still going on.
    """
    with answering():
        children = children_of(parent.client, parent.client.get_run(parent.run_id))
    ids = {child.data.tags.get(MEMBER_TAG, ""): child.info.run_id for child in children}
    return {name: at_rest(find_run(run_id), again) for name, run_id in ids.items() if name}


def finish(family: Family, member: Member, run: LoggedRun, again: Again) -> Run | None:
    """Returns a run of before finished: as it is, or once it went on.

    None where it was killed before anything of it was known, which ends it.

    Raises:
        MlrunError, RunFailed, KeyboardInterrupt: as `resume` says.
    """
    family.begin(member.name)
    if run.status == "FINISHED":
        family.progress.note(f"run {run.run_id} is finished")
        return returned(run)
    if not has_settings(run.client, run.run_id, run.tags):
        end_lost(run.client, run.run_id, PATIENCE, family.progress.warn)
        return None
    return resume(run.run_id, gone=again.gone, progress=family.progress, **again.arguments)
