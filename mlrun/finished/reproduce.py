"""`mlrun reproduce`: a finished run made again from what MLflow has of it, and compared."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from mlrun.data.digests import digest_like
from mlrun.errors import MlrunError, RunFailed
from mlrun.finished.agreement import Agreement, agreement, compared_metrics, outcome_of
from mlrun.finished.longer import CONTINUES, STARTS, continued_start
from mlrun.finished.plan_again import plan_again
from mlrun.finished.provenance import (
    ENVIRONMENT,
    Change,
    Inputs,
    changes,
    inputs_of,
    recorded_inputs,
    tell,
    unrecorded,
)
from mlrun.finished.train_or_resume import gone_on_with
from mlrun.machine.place import check_started, place_here
from mlrun.preparing.prepared import Prepared
from mlrun.record.events import REASON_TAG
from mlrun.record.logged import LoggedRun, find_run
from mlrun.record.onward import onward
from mlrun.running.description import Description
from mlrun.running.progress import Progress, Silent
from mlrun.running.repetition import TAG, Repetition
from mlrun.running.run import Run
from mlrun.running.train import train
from mlrun.settings.plan import Plan

VERDICT = "mlrun.reproduction"  # the new run's tag


@dataclass(frozen=True)
class Reproduction:
    """A run that was made again, and how far it came to the same.

    first: the id of the run that was reproduced.
    run: the new one.
    changed: the inputs that differ from the first run's, the most telling first.
    unknown: the kinds of inputs that the first run did not record.
    """

    first: str
    run: Run
    agreement: Agreement
    changed: tuple[Change, ...]
    unknown: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Whether it came to the same, within tolerance."""
        return self.agreement.word != "differs"

    @property
    def verdict(self) -> str:
        """The result on one line."""
        word = self.agreement.word
        if self.agrees:
            return f"{word}: run {self.first[:8]} is reproduced"
        if self.changed:
            first, others = self.changed[0], len(self.changed) - 1
            more = f" ({others} more changed)" if others else ""
            return f"{word}, because {first.what} changed: {first.before}, now {first.after}{more}"
        unknown = f"; the run did not record: {', '.join(self.unknown)}" if self.unknown else ""
        return (
            f"{word}, because of nothing that is known: package, setting, data, plugin, code and "
            f"device are as they were{unknown}"
        )


def reproduce(
    reference: str,
    *,
    plugins: Sequence[Path] = (),
    data_dir: Path | None = None,
    device: str | None = None,
    options: Mapping[str, object] | None = None,
    progress: Progress | None = None,
) -> Reproduction:
    """Runs a finished run again, as a new run that points to it, and compares the two.

    Args:
        reference: the run's id, or a unique start of it.
        plugins: files that are plugins, which the user names; see `plugin_files_of`.
        data_dir: the folder that data sets are read from; None is the run's.
        device: as for training; None is the run's.
        options: of components, under their dotted names, over those of the run: for what lies
            elsewhere now.
        progress: who is told how it is getting on, and what has changed since the first run.

    Raises:
        MlrunError: the run is not finished, or cannot be made again here; no run was opened.
        RunFailed: the new run failed, or cannot be compared.
    """
    shown = progress or Silent()
    first = find_run(reference)
    check_finished(first)
    plan = plan_again(first, plugins=plugins, data_dir=data_dir, device=device, options=options)
    check_started(plan.settings.processes, plan.settings.device, place_here())
    data = first.data_sets()
    before = recorded_inputs(first, data)
    changed: list[Change] = []

    shown.note(f"reproducing run {first.run_id}: {first.name}")
    steps = steps_to_take(first, plan)
    if steps:
        shown.note(f"it had a time limit: it is run again for the {steps:,} steps that it took")

    def begin(plan: Plan, prepared: Prepared, description: Description) -> None:
        changed.extend(changes(before, present_inputs(plan, prepared, description, data)))
        tell(changed, first, shown)

    threads = number_in(first.tags.get("mlrun.threads", ""))
    with tempfile.TemporaryDirectory() as folder:
        repetition = Repetition(first.run_id, threads, steps, begin)
        if CONTINUES in first.tags:
            taken = {name: first.tags[name] for name in STARTS if name in first.tags}
            start = partial(continued_start, first, folder=Path(folder))
            repetition = replace(repetition, tags=taken, start=start)
        before_restart = gone_on_with(plan, shown, **{TAG: first.run_id})
        run = before_restart or train(plan, progress=shown, repetition=repetition)
    second, agreed = compared(first, run)
    result = Reproduction(first.run_id, run, agreed, tuple(changed), tuple(unrecorded(before)))
    second.add({}, step=0, tags={VERDICT: result.verdict}, files={})
    return result


def compared(first: LoggedRun, run: Run) -> tuple[LoggedRun, Agreement]:
    """Returns a new run as it is in the store, and how far it agrees with the first.

    Raises:
        RunFailed: the new run is not in the store as a whole, or the store does not answer.
    """
    done = f"run {run.run_id} is done and cannot be compared"
    if run.unsent:
        raise RunFailed(
            f"{done}: {run.unsent} events of it are not in the tracking store; send them with: "
            f"mlrun sync {run.run_id}",
            run.run_id,
        )
    try:
        second = find_run(run.run_id)
        metrics = compared_metrics(first, second)
        with tempfile.TemporaryDirectory() as folder:
            outcomes = [outcome_of(each, metrics, Path(folder)) for each in (first, second)]
    except MlrunError as error:
        raise RunFailed(f"{done}: {error}", run.run_id) from error
    return second, agreement(*outcomes)


def check_finished(run: LoggedRun) -> None:
    """Raises MlrunError unless the run ended well."""
    if run.status == "FINISHED":
        return
    why = f"it is {run.status}: {run.tags.get(REASON_TAG, 'no reason is known')}"
    if run.presence is not None:
        why = run.why_none()
    else:
        why += f"; {onward(run.client, run.run_id, run.tags)}"
    raise MlrunError(f"run {run.run_id} is not finished, so it cannot be reproduced ({why})")


def steps_to_take(run: LoggedRun, plan: Plan) -> int:
    """Returns the steps that a run with a time limit took; 0 for all that its settings say.

    Raises:
        MlrunError: the limit stopped it, and how many they were is not known.
    """
    if not plan.settings.time_limit:
        return 0
    steps = number_in(run.tags.get("mlrun.steps", ""))
    if not steps and run.tags.get("mlrun.stopped", "").startswith("time limit"):
        raise MlrunError(
            f"run {run.run_id} was stopped by its time limit, and mlrun "
            f"{run.tags['mlrun.version']} did not record after how many steps; it cannot be "
            "reproduced"
        )
    return steps


def number_in(text: str) -> int:
    """Returns the whole number that a tag holds; 0 where it is none."""
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else 0


def present_inputs(
    plan: Plan, prepared: Prepared, description: Description, before: Mapping[str, str]
) -> Inputs:
    """Returns the inputs of a run that is about to start.

    Args:
        plan, prepared, description: of it.
        before: the digests of the first run's data, after whose kind its own are made.
    """
    name = plan.dataset.component.name
    data = {
        f"{name}/{part}": digest_like(before.get(f"{name}/{part}", ":"), selection)
        for part, selection in prepared.selections.items()
    }
    environment = str(description.files[str(ENVIRONMENT)])
    return inputs_of(plan.params(), description.tags, environment, data)
