"""A finished run goes on for longer, as a new run that starts from its last state."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlrun.errors import MlrunError
from mlrun.finished.last_state import (
    logged_state,
    parts_of,
    place_of,
    ranking_of,
    restore,
    weights_of,
)
from mlrun.finished.provenance import tell_changes
from mlrun.preparing.prepared import Prepared
from mlrun.record import opening
from mlrun.record.logged import LoggedRun, find_run
from mlrun.running.context import Start
from mlrun.running.description import describe_run
from mlrun.running.progress import Progress
from mlrun.running.run import Run
from mlrun.running.together import ready_together
from mlrun.running.train import run_session
from mlrun.settings import Settings
from mlrun.settings.plan import Plan
from mlrun.training.checkpoints import digest
from mlrun.training.optimisation.schedules import WITH_THE_END
from mlrun.training.setup import total_steps
from mlrun.training.state import TrainingState

CONTINUES = "mlrun.continues"  # the tag: the id of the run that a run starts from
CONTINUES_WEIGHTS = "mlrun.continues_weights_sha256"  # of the last weights of that run
STARTS = (CONTINUES, CONTINUES_WEIGHTS)


def go_on_longer(
    run: LoggedRun, plan: Plan, longer: Mapping[str, object], progress: Progress
) -> Run:
    """Trains on from the last state of a finished run, as a new run.

    Args:
        run: the finished run.
        plan: of that run.
        longer: how long in all: `epochs`, `steps`, `time_limit`.
        progress: who is told how it is getting on.

    Raises:
        MlrunError: it was as long already, or cannot go on.
    """
    saved = end_of(run)
    lengthened = with_length(plan, longer)
    with ready_together(lengthened) as prepared, tempfile.TemporaryDirectory() as folder:
        before = total_steps(plan.settings, len(prepared.train))
        check_schedule(run, plan.settings, before, prepared.procedure.steps)
        start = start_from_end(run, saved, prepared, Path(folder))
        steps, epochs = prepared.state.step, saved["epoch"]
        if prepared.procedure.steps <= steps:
            raise MlrunError(
                f"run {run.run_id} has trained for {steps:,} steps, {epochs} epochs; give more: "
                f"--epochs {epochs + 1}"
            )
        description = describe_run(lengthened, prepared)
        tell_changes(run, plan, description, progress)
        description.tags.update(continuing(run, prepared))
        return run_session(
            lengthened,
            prepared,
            description,
            progress,
            lambda: opening.open_run(
                lengthened.run_name, lengthened.settings.experiment, description.tags
            ),
            start,
        )


def end_of(run: LoggedRun) -> dict[str, Any]:
    """Returns the last state of a finished run, from MLflow; raises MlrunError where it is none."""
    complaints: list[str] = []
    saved = logged_state(run, complaints.append)
    if saved is None:
        reason = complaints[0] if complaints else "its artifact checkpoints/last.pt is not there"
        raise MlrunError(f"run {run.run_id} cannot go on: {reason}")
    return saved


def start_from_end(
    run: LoggedRun, saved: Mapping[str, Any], prepared: Prepared, folder: Path
) -> Start:
    """Puts the training where a finished run left it, to go on; returns what else it starts from.

    Args:
        run: the finished run.
        saved: its last state.
        prepared: the training.
        folder: takes the weights of its best epochs, until the new run has them.
    """
    restore(run, prepared, saved)
    reopen_epoch(prepared.state)
    weights = [run.download(weights_of(epoch), folder) for _, epoch in ranking_of(saved)]
    saver = {"SaveWeights": saved["callbacks"]["SaveWeights"]}
    return Start(f"{place_of(prepared)}, of run {run.run_id}", saver, weights, parts_of(run))


def continuing(run: LoggedRun, prepared: Prepared) -> dict[str, str]:
    """Returns the tags of a new run that say which one it starts from, and with which weights."""
    weights = digest(prepared.state.model.state_dict())
    return {CONTINUES: run.run_id, CONTINUES_WEIGHTS: weights}


def continued_start(run: LoggedRun, prepared: Prepared, folder: Path) -> Start:
    """Puts the training where a run began that goes on for longer with another one.

    Args:
        run: that names the other in its tags.
        prepared: the training.
        folder: as for `start_from_end`.

    Raises:
        MlrunError: the other is not there any more, or not as it was.
    """
    before = run.tags[CONTINUES]
    try:
        other = find_run(before)
        start = start_from_end(other, end_of(other), prepared, folder)
    except MlrunError as error:
        raise MlrunError(
            f"run {run.run_id} went on from the last state of run {before}, which cannot be had: "
            f"{error}"
        ) from error
    now = continuing(other, prepared)[CONTINUES_WEIGHTS]
    then = run.tags.get(CONTINUES_WEIGHTS) or other.tags.get("mlrun.weights_sha256", now)
    if now != then:
        raise MlrunError(
            f"run {run.run_id} went on from the last state of run {before}, which is another now: "
            f"its weights were sha256 {then[:8]}…, and are {now[:8]}…"
        )
    return start


def with_length(plan: Plan, longer: Mapping[str, object]) -> Plan:
    """Returns a plan of another length; epochs count where they are given without steps."""
    parsed = Settings.parse(longer)
    changes = {name: getattr(parsed, name) for name in longer}
    if "epochs" in longer:
        changes.setdefault("steps", 0)
    return replace(plan, settings=plan.settings.model_copy(update=changes))


def check_schedule(run: LoggedRun, settings: Settings, before: int, after: int) -> None:
    """Raises MlrunError where the steps so far would have had other learning rates."""
    if after != before and settings.schedule in WITH_THE_END:
        raise MlrunError(
            f"run {run.run_id} cannot go on for longer: its schedule {settings.schedule} has "
            f"arrived at its end, after {before:,} steps; start a new run from its weights: mlrun "
            f"train --init-from {run.run_id}"
        )


def reopen_epoch(state: TrainingState) -> None:
    """Has a training that stopped go on; within its last epoch, if that was cut short."""
    if state.cut is not None:
        for series in state.history.values():
            series.drop_from(state.epoch)
        state.epoch, state.tally, state.cut = state.epoch - 1, state.cut, None
    state.stopped, state.patience.waited = "", 0
