"""A run that ended too early goes on in the same MLflow run, a finished one in a new one."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mlrun.errors import MlrunError, contained
from mlrun.finished.last_state import fetch, parts_of, place_of, restore, saved_state
from mlrun.finished.longer import CONTINUES, continued_start, go_on_longer, with_length
from mlrun.finished.plan_again import plan_again
from mlrun.finished.provenance import tell_changes
from mlrun.finished.started_again import had, is_of_earlier_start, left_alone, run_in_hand
from mlrun.machine import interrupts
from mlrun.machine.devices import check_idle
from mlrun.machine.launcher import outlived_by_none
from mlrun.machine.place import place_here
from mlrun.preparing.prepared import Prepared
from mlrun.preparing.threads import use_number_of_threads
from mlrun.preparing.transfer import start_from
from mlrun.record.logged import LoggedRun, find_run
from mlrun.record.reopening import reopen_run, send_rest
from mlrun.record.trust import trust_file
from mlrun.running.context import Start
from mlrun.running.description import PROCESSES_TAG, describe_run
from mlrun.running.progress import Progress, Silent
from mlrun.running.repetition import repeated
from mlrun.running.run import Run
from mlrun.running.together import follow_run, of_processes, ready_together
from mlrun.running.train import run_session
from mlrun.seam.files import at_home
from mlrun.settings.plan import Plan
from mlrun.training.callbacks import Callback

RESUMED = "mlrun.resumed"  # the tag: where the run was taken up, each time


def resume(
    reference: str,
    *,
    longer: Mapping[str, object] | None = None,
    gone: bool = False,
    plugins: Sequence[Path] = (),
    data_dir: Path | None = None,
    device: str | None = None,
    options: Mapping[str, object] | None = None,
    processes: int | None = None,
    progress: Progress | None = None,
    callbacks: Sequence[Callback] = (),
) -> Run:
    """Goes on with a run that was killed, interrupted or failed; returns when all is logged.

    It goes on in the same MLflow run, from the last state that was saved, and comes on the same
    machine to the weights and figures that it would have come to. A finished run goes on for
    `longer` as a new run, that starts from its last state.

    Args:
        reference: the run's id, or a unique start of it.
        longer: of a finished run, how long in all: `epochs`, `steps`, `time_limit`.
        gone: go on also where nobody here can tell whether the run's process, on another machine,
            is gone.
        plugins: files that are plugins, which the user names; see `plugin_files_of`.
        data_dir: the folder that data sets are read from; None is the run's.
        device: as for training; None is the run's.
        options: of components, under their dotted names, over those of the run: for what lies
            elsewhere now.
        processes: how many train it; None is the run's number, or as many as torchrun started.
        progress: who is told how it is getting on; nobody by default.
        callbacks: that follow the training besides the run's own, of one that did not finish.

    Raises:
        MlrunError: the run is finished or still going on, or cannot be made again here.
        RunFailed: it was taken up and ended FAILED.
        KeyboardInterrupt: it was interrupted and ended KILLED.
    """
    shown = progress or Silent()
    check_idle()
    if place_here().rank:
        with interrupts.heeded(), outlived_by_none():
            return follow_run()
    with interrupts.heeded(), contained():
        run = find_run(reference)
        again = is_of_earlier_start(run)
        if again:
            left_alone(run)
        send_rest(run.run_id, shown.warn)
        run = find_run(run.run_id)
        if again and run.status == "FINISHED" and not longer:
            return had(run, shown)
        check_status(run, longer or {}, gone=gone or again)
        plan = plan_again(run, plugins=plugins, data_dir=data_dir, device=device, options=options)
        plan = of_processes(plan, processes, place_here())
        for text in plan.registry.complaints():
            shown.warn(text)
        for path in plan.settings.plugin:
            trust_file(at_home(path))
        if not longer:
            return go_on(run, plan, shown, callbacks)
        lengthened = with_length(plan, longer)
        begun = run_in_hand(lengthened, shown, **{CONTINUES: run.run_id})
        if begun is None:
            return go_on_longer(run, plan, longer, shown)
        finished = begun.status == "FINISHED"
        return had(begun, shown) if finished else go_on(begun, lengthened, shown)


def go_on(
    run: LoggedRun, plan: Plan, progress: Progress, callbacks: Sequence[Callback] = ()
) -> Run:
    """Goes on with a run from its last state, in the same MLflow run."""
    with ready_together(plan) as prepared, tempfile.TemporaryDirectory() as folder:
        use_number_of_threads(run.tags.get("mlrun.threads", ""), prepared.device)
        prepared = repeated(prepared, run.tags)
        start = start_of(run, prepared, Path(folder), progress)
        if not prepared.state.step:
            start_from(plan, prepared)
        description = describe_run(plan, prepared)
        tell_changes(run, plan, description, progress)
        return run_session(
            plan,
            prepared,
            description,
            progress,
            lambda: reopen_run(run.run_id),
            start,
            callbacks,
        )


def check_status(run: LoggedRun, longer: Mapping[str, object], *, gone: bool) -> None:
    """Raises MlrunError if a finished run is not to go on for longer, or another one is.

    Also where the run's process may still be at it, unless the user says that it is `gone`.
    """
    if run.presence is not None and not run.presence.is_gone and not gone:
        raise MlrunError(
            f"run {run.run_id}: {run.why_none()}; if you know that its process is gone, go on "
            f"with: mlrun resume {run.run_id} --gone"
        )
    finished = run.status == "FINISHED"
    if finished and not longer:
        raise MlrunError(
            f"run {run.run_id} is finished; it can go on for longer, as a new run: mlrun resume "
            f"{run.run_id} --epochs N, where N is more than it has"
        )
    if longer and not finished:
        raise MlrunError(
            f"run {run.run_id} is not finished, but {run.status}; {', '.join(longer)} can be "
            f"changed once it is: mlrun resume {run.run_id} without it goes on with it"
        )


def start_of(run: LoggedRun, prepared: Prepared, folder: Path, shown: Progress) -> Start:
    """Puts the training where the run left it, and returns what else it goes on from.

    `folder` takes files that are needed until the run is opened.
    """
    saved = saved_state(run, shown.warn)
    if saved is not None:
        restore(run, prepared, saved)
        fetch(run, saved, shown.warn)
        start = Start(place_of(prepared), saved["callbacks"])
    elif CONTINUES in run.tags:
        start = continued_start(run, prepared, folder)
    else:
        start = Start("the beginning, for no state was saved")
    earlier = run.tags.get(RESUMED, "")
    told = {
        RESUMED: f"{earlier}; {start.place}" if earlier else start.place,
        PROCESSES_TAG: str(prepared.group.size),
    }
    return replace(start, data=parts_of(run), tags=told)
