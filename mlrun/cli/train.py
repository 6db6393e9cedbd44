"""`mlrun train`."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import click

from mlrun.cli import completion
from mlrun.cli.arguments import SettingOption, TrainCommand, setting_options
from mlrun.cli.processes import TAKES_PART
from mlrun.cli.several import asked_for, outlook, run_several, several_options
from mlrun.cli.shared_options import flag_option, quiet_option, recipe_option
from mlrun.cli.terminal import echo
from mlrun.machine.interrupts import undisturbed
from mlrun.machine.place import number_of_processes, place_here
from mlrun.seam.conversion import convert
from mlrun.settings.plan import Plan, plan_of
from mlrun.settings.run import traits_of

if TYPE_CHECKING:
    from mlrun.cli.display import Lines
    from mlrun.running.run import Run
    from mlrun.sweeps.members import Asked

OWN = ("dry_run", "resume", "quiet", "seeds", "folds")  # the options that are no settings


@click.command(
    "train",
    cls=TrainCommand,
    params=[
        recipe_option(),
        flag_option(
            "dry-run",
            "check data, device and model, print the resolved settings as a recipe and the layers "
            "as comments, and stop",
        ),
        SettingOption(
            ["--resume"],
            group="Command",
            metavar="auto|RUN_ID",
            help="go on with the last run of these settings that is not finished, or start one; "
            "or with this run",
            shell_complete=completion.fixed(["auto"]),
        ),
        quiet_option(),
        *several_options(),
        *setting_options(),
    ],
    epilog="The last line on stdout is the run id, of several runs that of their parent; "
    "everything else goes to stderr.",
)
@click.pass_context
def command(
    ctx: click.Context, /, dry_run: str, resume: str | None, quiet: str, **params: Any
) -> int:
    """Train a model and log the run to MLflow."""
    rehearsed = flag("dry-run", dry_run)
    if place_here().rank:
        return 0 if rehearsed else TAKES_PART
    plan, silent = plan_of(values_of(ctx)), flag("quiet", quiet)
    several = asked_for(plan, ctx.params)
    if rehearsed:
        return rehearse(plan, several, quiet=silent)
    return run(plan, several, resume, quiet=silent)


def values_of(ctx: click.Context, own: Collection[str] = OWN) -> dict[str, object]:
    """Returns the recipe, settings and options of a command line, as `mlrun.train` takes them.

    `own` are the other options of the command.
    """
    values: dict[str, object] = {}
    for name, value in ctx.params.items():
        if value in (None, ()) or name in own:
            continue
        if name == "recipe":
            value = value[-1]
        values[name] = ",".join(value) if traits_of(name).repeatable else value
    values |= ctx.meta["mlrun.options"]
    return values


def flag(name: str, text: str) -> bool:
    """Returns a flag of the command itself, from its text."""
    try:
        return bool(convert(bool, text))
    except ValueError as error:
        raise click.UsageError(f"{name}: {error}") from None


def rehearse(plan: Plan, several: Asked | None, *, quiet: bool) -> int:
    """Makes the checks of a run, prints the settings and the layers, and returns 0.

    Of several runs they are those of the first, and what they have in common.
    """
    from mlrun.cli.display import Lines, listen

    listen(quiet=quiet)
    with undisturbed():
        from mlrun.data.sharing import shared_data
        from mlrun.preparing.prepared import dry_run

    lines = Lines(quiet=quiet)
    for text in plan.registry.complaints():
        lines.warn(text)
    if several is None:
        echo(dry_run(plan), nl=False)
        return 0
    with shared_data():
        dry_run(several.members[0].plan)
        echo(dry_run(several.plan) + outlook(several), nl=False)
    return 0


def run(plan: Plan, several: Asked | None, resumed: str | None, *, quiet: bool) -> int:
    """Trains, prints the run id and the links, and returns the exit code.

    Args:
        plan: what was asked for.
        several: the runs that were asked for in its place; None for one.
        resumed: `auto` or the id of a run that is to go on; None for a new one.
        quiet: whether only the id, warnings and errors are printed.
    """
    from mlrun.cli.display import listen, progress_for

    if several is None:
        number_of_processes(plan.settings.processes, plan.settings.device, place_here())
    listen(quiet=quiet)
    progress = progress_for(quiet=quiet)
    progress.greet(plan.settings)
    if several is not None:
        return run_several(several, resumed, progress)
    with undisturbed():  # torch, MLflow: a broken-off import breaks later ones
        from mlrun.finished.train_or_resume import train_or_resume

    return show(train_or_resume(plan, resumed, progress=progress), progress)


def show(result: Run, progress: Lines) -> int:
    """Prints a run's id, its links and what went wrong; returns the exit code."""
    for what, reason in result.failures.items():
        echo(f"Warning: {what} failed: {reason}", err=True)
    progress.note(f"best weights: epoch {result.best_epoch}, {result.best_weights}")
    progress.links(result.link, result.comparison_link, result.report_link)
    click.echo(result.run_id)
    return 1 if result.strict and result.failures else 0
