"""`mlrun train`."""

from __future__ import annotations

from typing import Any

import click

from mlrun import recipes
from mlrun.cli import completion
from mlrun.cli.arguments import REPEATABLE, SettingOption, TrainCommand, setting_options
from mlrun.seam.options import convert
from mlrun.settings import Settings
from mlrun.signals import undisturbed


@click.command(
    "train",
    cls=TrainCommand,
    params=[
        SettingOption(
            ["--recipe"],
            group="Command",
            metavar="NAME",
            multiple=True,
            help="start from a recipe by name, or from a file of settings (….yaml)",
            shell_complete=completion.recipe_names,
        ),
        SettingOption(
            ["--dry-run", "dry_run"],
            group="Command",
            is_flag=False,
            flag_value="true",
            default="false",
            metavar="[true|false]",
            help="print the resolved settings as a recipe and stop",
        ),
        SettingOption(
            ["--quiet"],
            group="Command",
            is_flag=False,
            flag_value="true",
            default="false",
            metavar="[true|false]",
            help="print the run id, warnings and errors only",
        ),
        *setting_options(),
    ],
    epilog="The last line on stdout is the run id; everything else goes to stderr.",
)
@click.pass_context
def command(
    ctx: click.Context, /, recipe: tuple[str, ...], dry_run: str, quiet: str, **given: Any
) -> int:
    """Train a model and log the run to MLflow."""
    settings = Settings.parse(gather(ctx, recipe[-1] if recipe else None, given))
    if flag("dry-run", dry_run):
        from mlrun.plan import make_plan

        click.echo(make_plan(settings).recipe(), nl=False)
        return 0
    return run(settings, quiet=flag("quiet", quiet))


def gather(ctx: click.Context, recipe: str | None, given: dict[str, Any]) -> dict[str, object]:
    """Returns the recipe's values with those of the command line over them."""
    values: dict[str, object] = {
        name: ",".join(value) if name in REPEATABLE else value
        for name, value in given.items()
        if value not in (None, ())
    }
    values |= ctx.meta["mlrun.options"]
    return recipes.merge(recipes.load(recipe).values if recipe else {}, values)


def flag(name: str, text: str) -> bool:
    """Returns a flag of the command itself, from its text."""
    try:
        return bool(convert(bool, text))
    except ValueError as error:
        raise click.UsageError(f"{name}: {error}") from None


def run(settings: Settings, *, quiet: bool) -> int:
    """Trains, prints the run id and the links, and returns the exit code."""
    from mlrun.cli.progress import listen, progress_for

    listen(quiet=quiet)
    progress = progress_for(quiet=quiet)
    progress.greet(settings)
    with undisturbed():  # torch, MLflow: a broken-off import breaks later ones
        from mlrun.runner import train

    done = train(settings, progress=progress)
    for what, reason in done.failures.items():
        click.echo(f"Warning: {what} failed: {reason}", err=True)
    progress.note(f"best weights: epoch {done.best_epoch}, {done.best_weights}")
    progress.links(done.link, done.comparison_link)
    click.echo(done.run_id)
    return 1 if settings.strict and done.failures else 0
