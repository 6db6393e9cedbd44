"""A finished run goes on for longer, as a new run that starts from its last state."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

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
from mlrun.record import opening
from mlrun.record.logged import LoggedRun
from mlrun.running.context import Start
from mlrun.running.description import describe_run
from mlrun.running.progress import Progress
from mlrun.running.run import Run
from mlrun.running.together import ready_together
from mlrun.running.train import run_session
from mlrun.settings import Settings
from mlrun.settings.plan import Plan
from mlrun.training.setup import total_steps
from mlrun.training.state import TrainingState

CONTINUES = "mlrun.continues"  # the tag: the id of the run that a run starts from
WITH_THE_END = ("cosine", "one-cycle")  # schedules that arrive at the training's last step


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
    complaints: list[str] = []
    saved = logged_state(run, complaints.append)
    if saved is None:
        reason = complaints[0] if complaints else "its artifact checkpoints/last.pt is not there"
        raise MlrunError(f"run {run.run_id} cannot go on: {reason}")
    lengthened = with_length(plan, longer)
    with ready_together(lengthened) as prepared, tempfile.TemporaryDirectory() as folder:
        before = total_steps(plan.settings, len(prepared.train))
        check_schedule(run, plan.settings, before, prepared.procedure.steps)
        restore(run, prepared, saved)
        state, epochs = prepared.state, prepared.state.epoch
        reopen_epoch(state)
        if prepared.procedure.steps <= state.step:
            raise MlrunError(
                f"run {run.run_id} has trained for {state.step:,} steps, {epochs} epochs; give "
                f"more: --epochs {epochs + 1}"
            )
        weights = [run.download(weights_of(e), Path(folder)) for _, e in ranking_of(saved)]
        saver = {"SaveWeights": saved["callbacks"]["SaveWeights"]}
        place = f"{place_of(prepared)}, of run {run.run_id}"
        description = describe_run(lengthened, prepared)
        tell_changes(run, plan, description, progress)
        description.tags[CONTINUES] = run.run_id
        start = Start(place, saver, weights, parts_of(run))
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


def with_length(plan: Plan, longer: Mapping[str, object]) -> Plan:
    """Returns a plan of another length; epochs count where they are given without steps."""
    parsed = Settings.parse(longer)
    changes = {name: getattr(parsed, name) for name in longer}
    if "epochs" in longer:
        changes.setdefault("steps", 0)
    return replace(plan, settings=plan.settings.model_copy(update=changes))


def check_schedule(run: LoggedRun, settings: Settings, before: int, after: int) -> None:
    """Raises MlrunError where the steps that are done would have had other rates."""
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
