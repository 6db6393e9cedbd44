"""`mlrun train --seeds`, `--folds`, and `mlrun resume` of their parent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from mlrun.cli.arguments import SettingOption
from mlrun.cli.terminal import echo
from mlrun.errors import MlrunError
from mlrun.machine.interrupts import undisturbed
from mlrun.settings.plan import Plan
from mlrun.sweeps.members import Asked, folds_asked, seeds_asked

if TYPE_CHECKING:
    from mlrun.cli.display import Lines
    from mlrun.record.logged import LoggedRun
    from mlrun.sweeps.going_on import Again
    from mlrun.sweeps.several import Several

GROUP = "Several runs"  # the heading in the help


def several_options() -> list[SettingOption]:
    """Returns the options that ask for several runs in one."""
    return [
        SettingOption(
            ["--seeds"],
            group=GROUP,
            metavar="N|SEED,SEED",
            help="train once with each of N seeds, counted from --seed, or with these; one parent "
            "run in MLflow has mean and spread",
        ),
        SettingOption(
            ["--folds"],
            group=GROUP,
            metavar="K",
            help="train once for each of K folds of the training images, and validate on it "
            "(cross-validation); likewise",
        ),
    ]


def asked_for(plan: Plan, values: Mapping[str, object]) -> Asked | None:
    """Returns the several runs that a command line asks for; None where it asks for one.

    Args:
        plan: of the settings.
        values: of the options, by name.

    Raises:
        MlrunError: it asks for seeds or folds that are none, or for both.
    """
    seeds, folds = values.get("seeds"), values.get("folds")
    if seeds is not None and folds is not None:
        raise MlrunError(
            "--seeds and --folds do not go together; give one of them, or run the folds of each "
            "seed by themselves: mlrun train --folds K --seed SEED"
        )
    if isinstance(seeds, str):
        if "," in seeds and values.get("seed") is not None:
            raise MlrunError(
                f"--seeds {seeds} says which seeds; leave --seed out, or give --seeds a number, "
                "which is counted from it"
            )
        return seeds_asked(plan, seeds)
    return folds_asked(plan, folds) if isinstance(folds, str) else None


def outlook(asked: Asked) -> str:
    """Returns which runs there would be, as a comment of a recipe."""
    names = ", ".join(member.name for member in asked.members)
    return f"# {asked.name} under one parent, one run each: {names}\n"


def run_several(asked: Asked, resumed: str | None, progress: Lines) -> int:
    """Trains several runs, prints the parent's id and what they came to; returns the exit code."""
    with undisturbed():
        from mlrun.sweeps.several import train_all

    return show_several(train_all(asked, resumed, progress), progress)


def go_on(parent: LoggedRun, again: Again, progress: Lines) -> int:
    """Goes on with several runs that did not all finish, as `run_several` does."""
    from mlrun.sweeps.going_on import asked_by
    from mlrun.sweeps.several import train_members

    asked, parent = asked_by(parent, again, progress)
    return show_several(train_members(asked, parent, again, progress), progress)


def show_several(result: Several, progress: Lines) -> int:
    """Prints what went wrong, mean and spread, links and the parent's id; returns the exit code."""
    from mlrun.sweeps.spread import lines

    for name, run in zip(result.names, result.runs, strict=True):
        for what, reason in run.failures.items():
            echo(f"Warning: {name}: {what} failed: {reason}", err=True)
    for line in lines(result.what, result.spreads, independent=result.independent):
        progress.note(line)
    first = result.runs[0]
    progress.links(result.link, first.comparison_link, "")
    click.echo(result.run_id)
    return 1 if any(run.strict and run.failures for run in result.runs) else 0
