"""Several runs of one plan, one after another in this process, under one parent in MLflow."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlrun.data.sharing import LOADED, shared_data
from mlrun.record import opening
from mlrun.record.logged import LoggedRun
from mlrun.running.progress import Progress, Silent
from mlrun.running.run import Run
from mlrun.settings import Settings
from mlrun.settings.plan import Plan, plan_of
from mlrun.sweeps.family import Family, lasting
from mlrun.sweeps.going_on import MEMBERS_TAG, Again, earlier_runs, finish, unfinished_parent
from mlrun.sweeps.members import Asked, folds_asked, seeds_asked
from mlrun.sweeps.out_of_fold import FILE, out_of_fold
from mlrun.sweeps.spread import Spread, metrics_of, runs_csv, spreads_of, summary_json

RUNS, SUMMARY = "runs.csv", "summary.json"  # the artifacts of the parent


@dataclass(frozen=True)
class Several:
    """Several runs that ended FINISHED, under one parent in MLflow.

    run_id, name, link: of the parent.
    what: the runs: `5 seeds`.
    names: of the runs among each other: `seed 3`.
    runs: in order.
    spreads: mean and spread of each figure of the best weights.
    independent: whether the runs are independent of each other; folds share images.
    unsent: events of the parent that the tracking store did not take yet.
    """

    run_id: str
    name: str
    link: str
    what: str
    names: tuple[str, ...]
    runs: tuple[Run, ...]
    spreads: Mapping[str, Spread]
    independent: bool
    unsent: int = 0


def train_seeds(
    settings: Settings | Mapping[str, object] | Plan,
    seeds: int | str | Sequence[int],
    *,
    resume: str | None = None,
    progress: Progress | None = None,
) -> Several:
    """Trains the same settings with several seeds, under one parent run in MLflow.

    Each is a run as `train` makes it of its seed. On the parent are mean and spread of the figures
    of the best weights: `test/accuracy/mean`, `test/accuracy/std`.

    Args:
        settings: as `train` takes them.
        seeds: how many, counted from the setting `seed`; or which: `[0, 1, 2]`.
        resume: `auto` to go on with the last such runs that are not finished, if there are any, or
            the id of their parent; None for new ones.
        progress: who is told how they are getting on; nobody by default.

    Raises:
        MlrunError: as `train` says, or these are no seeds; no run was opened.
        RunFailed: one of the runs failed, and so did the parent; those after it were not begun.
        KeyboardInterrupt: the run that was training was interrupted; it and the parent ended
            KILLED.
    """
    return train_all(seeds_asked(plan_of(settings), seeds), resume, progress or Silent())


def train_folds(
    settings: Settings | Mapping[str, object] | Plan,
    folds: int | str,
    *,
    resume: str | None = None,
    progress: Progress | None = None,
) -> Several:
    """Trains once for each fold of the training images, and validates on it: cross-validation.

    The parent has mean and spread over the folds, and `out-of-fold.npz`: what was predicted for
    each training image by the run that did not train on it.

    Args:
        settings: as `train` takes them; `validation` is `auto`.
        folds: how many; the images are dealt out by the seed, each class in proportion.
        resume: as for `train_seeds`.
        progress: as for `train_seeds`.

    Raises:
        MlrunError, RunFailed, KeyboardInterrupt: as `train_seeds` says.
    """
    return train_all(folds_asked(plan_of(settings), folds), resume, progress or Silent())


def train_all(asked: Asked, resume: str | None, progress: Progress) -> Several:
    """Trains runs that are asked for in one, or goes on with some of before; see `train_seeds`."""
    parent = None if resume is None else unfinished_parent(asked, resume, progress)
    again = Again()
    if parent is not None:
        if os.environ.get("MLFLOW_RUN_ID") not in (None, parent.run_id):
            opening.end_waiting_run("KILLED", f"run {parent.run_id} goes on in its place")
        settings = asked.plan.settings
        again = Again(
            plugins=tuple(map(Path, settings.plugin)),
            data_dir=None if settings.is_default("data_dir") else settings.data_dir,
            device=None if settings.device == "auto" else settings.device,
        )
    return train_members(asked, parent, again, progress)


def train_members(
    asked: Asked, parent: LoggedRun | None, again: Again, progress: Progress
) -> Several:
    """Trains the runs that are not finished, one after another, and returns all.

    Args:
        asked: the runs.
        parent: over those that are there already; None for a new one.
        again: how one that was begun goes on.
        progress: who is told.
    """
    earlier = {} if parent is None else earlier_runs(parent, again)
    family = Family(
        asked.kind,
        asked.plan,
        asked.name,
        varied=asked.varied,
        tags={MEMBERS_TAG: asked.numbers},
        progress=progress,
    )
    runs: list[Run] = []
    with sharing(), lasting(family):
        if parent is not None:
            family.reopen(parent.run_id)
        for number, member in enumerate(asked.members, start=1):
            progress.note(f"{member.name}, {number} of {len(asked.members)}")
            before = earlier.get(member.name)
            run = None if before is None else finish(family, member, before, again)
            runs.append(family.train(member.name, member.plan) if run is None else run)
        spreads = conclude(family, asked, runs)
    return Several(
        run_id=family.run_id,
        name=family.tracker.run_name,
        link=family.tracker.link,
        what=asked.name,
        names=tuple(member.name for member in asked.members),
        runs=tuple(runs),
        spreads=spreads,
        independent=asked.kind == "seeds",
        unsent=family.tracker.left,
    )


def conclude(family: Family, asked: Asked, runs: Sequence[Run]) -> dict[str, Spread]:
    """Logs on the parent what the runs came to, and returns mean and spread of their figures."""
    family.begin("")
    spreads = spreads_of(runs)
    names = [member.name for member in asked.members]
    independent = asked.kind == "seeds"
    family.tracker.metrics(metrics_of(spreads), 0)
    family.tracker.artifact(RUNS, runs_csv(names, runs, spreads))
    family.tracker.artifact(SUMMARY, summary_json(asked.name, spreads, independent=independent))
    if asked.kind == "folds":
        archive, figures = out_of_fold(runs)
        family.tracker.metrics(figures, 0)
        family.tracker.artifact(FILE, archive)
    return spreads


@contextmanager
def sharing() -> Iterator[None]:
    """Has the runs inside the block load each data set once, as the caller's block may do."""
    if LOADED.get() is not None:
        yield
        return
    with shared_data():
        yield
