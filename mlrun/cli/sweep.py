"""`mlrun sweep`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import click

from mlrun.cli.arguments import TrainCommand, setting_options
from mlrun.cli.processes import program
from mlrun.cli.shared_options import flag_option, quiet_option, recipe_option
from mlrun.cli.sweep_options import sweep_options
from mlrun.cli.terminal import echo
from mlrun.cli.train import flag, values_of
from mlrun.machine.interrupts import Interrupted, undisturbed
from mlrun.settings.option_values import brief
from mlrun.sweeps.optional import check_optuna
from mlrun.sweeps.request import TRIALS, Pruner, Request, Sampler, request_of

if TYPE_CHECKING:
    from mlrun.sweeps.sweep import Terms

ELSEWHERE = ("data_dir", "device", "plugin")  # settings that a worker elsewhere may have otherwise
SHOWN_DRAWS = 5


OWN = (
    *("search", "trials", "timeout", "workers", "sampler", "pruner", "direction", "register"),
    *("study", "storage", "join", "dry_run", "quiet"),
)
OF_A_WORKER = ("join", "storage", "workers", "timeout", "quiet", *ELSEWHERE)


@click.command(
    "sweep",
    cls=TrainCommand,
    params=[
        recipe_option(", which may have a mapping `search`"),
        flag_option("dry-run", "print the search space and the first draws, and stop"),
        quiet_option(),
        *sweep_options(),
        *setting_options(),
    ],
    epilog="The last line on stdout is the id of the parent run; everything else goes to stderr.",
)
@click.pass_context
def command(ctx: click.Context, /, dry_run: str, quiet: str, **params: Any) -> int:
    """Train with many settings, each a run under one parent run, and find the best.

    What is not searched is given as for mlrun train. A sweep that was interrupted goes on with the
    same command.
    """
    rehearsed, silent = flag("dry-run", dry_run), flag("quiet", quiet)
    check_optuna()
    if params["join"] is not None:
        return take_part(ctx, params, quiet=silent)
    request = request_of(
        values_of(ctx, own=OWN),
        searched(params["search"]),
        sampler=cast(Sampler, params["sampler"]),
        pruner=cast(Pruner, params["pruner"]),
        direction=params["direction"],
    )
    if rehearsed:
        rehearse(request, params["trials"])
        return 0
    return run(request, params, quiet=silent)


def searched(texts: Sequence[str]) -> dict[str, object]:
    """Returns the specifications of all `--search` by name."""
    search: dict[str, object] = {}
    for name, spec in map(pair_of, texts):
        if name in search:
            raise click.UsageError(f"search: {name} is given twice; give all its values at once")
        search[name] = spec
    return search


def pair_of(text: str) -> tuple[str, str]:
    """Returns name and specification of a `--search`."""
    name, equals, spec = text.partition("=")
    if not equals or not name.strip():
        raise click.UsageError(f"search: expected NAME=SPEC, such as lr=0.1,0.01, got {text!r}")
    return name, spec


def rehearse(request: Request, trials: int | None) -> None:
    """Prints the space and the first draws."""
    from mlrun.sweeps.samplers import first_draws

    points = list(request.space.grid()) if request.sampler == "grid" else None
    most = trials or TRIALS if points is None else min(trials or len(points), len(points))
    way = "maximised" if request.maximised else "minimised"
    how = f"sampler {request.sampler}, pruner {request.pruner}"
    echo(f"{most} trials, {how}; {request.monitor} is {way}")
    for dimension in request.space.dimensions:
        echo(f"  {dimension}")
    echo("first draws:")
    for place, drawn in enumerate(first_draws(request, min(SHOWN_DRAWS, most)), 1):
        echo(f"  {place}: {' '.join(f'{name}={brief(value)}' for name, value in drawn.items())}")


def run(request: Request, params: dict[str, Any], *, quiet: bool) -> int:
    """Runs a sweep, prints what it came to and the parent's id, and returns the exit code."""
    from mlrun.cli.display import Lines, listen

    listen(quiet=quiet)
    progress = Lines(quiet=quiet)
    progress.greet(request.corner.settings)
    with undisturbed():  # MLflow, Optuna: a broken-off import breaks later ones
        from mlrun.sweeps.outcome import RECIPE
        from mlrun.sweeps.sweep import sweep
    settings = request.corner.settings
    elsewhere = {
        "data_dir": None if settings.is_default("data_dir") else settings.data_dir,
        "device": None if settings.device == "auto" else settings.device,
        "plugin": request.given.get("plugin"),
    }
    outcome = sweep(request, terms_of(params, elsewhere, quiet=quiet), progress)
    progress.note(outcome.summary)
    progress.note(outcome.best_line)
    if outcome.best is not None:
        progress.note(
            f"its settings, for mlrun train --recipe {RECIPE}: mlflow artifacts download "
            f"--run-id {outcome.parent} --artifact-path {RECIPE} --dst-path ."
        )
    click.echo(outcome.parent)
    return 0


def take_part(ctx: click.Context, params: dict[str, Any], *, quiet: bool) -> int:
    """Adds workers to a study: this process, or several; returns the exit code."""
    given = [
        name
        for name in ctx.params
        if name not in OF_A_WORKER
        and ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    ]
    for name in [*given, *ctx.meta["mlrun.options"]]:
        raise click.UsageError(f"--{name.replace('_', '-')}: a study that is joined has its own")
    from mlrun.cli.display import Lines, listen

    listen(quiet=quiet)
    progress = Lines(quiet=quiet)
    values = values_of(ctx, own=OWN)
    elsewhere = {name: values[name] for name in ELSEWHERE if name in values}
    if "plugin" in elsewhere:
        elsewhere["plugin"] = str(elsewhere["plugin"]).split(",")
    terms = terms_of(params, elsewhere, quiet=quiet)
    with undisturbed():
        from mlrun.sweeps import sweep, worker
        from mlrun.sweeps.study import default_storage
    try:
        if terms.workers > 1:
            sweep.join(params["join"], terms, progress)
        else:
            url = terms.storage or default_storage()
            worker.work(url, params["join"], elsewhere, progress, minutes=terms.minutes)
    except Interrupted as error:
        if sweep.SWEEP not in os.environ:
            raise
        return 128 + error.signal  # whoever started it says that it was interrupted
    return 0


def terms_of(params: dict[str, Any], elsewhere: dict[str, Any], *, quiet: bool) -> Terms:
    """Returns how a sweep is run."""
    from mlrun.sweeps.sweep import Terms

    return Terms(
        worker_command(elsewhere, quiet=quiet),
        storage=params["storage"],
        name=params["study"],
        trials=params["trials"],
        minutes=params["timeout"],
        workers=params["workers"],
        register=params["register"],
    )


def worker_command(elsewhere: dict[str, Any], *, quiet: bool) -> Callable[[str], list[str]]:
    """Returns what makes, of a study's name, Python's arguments that start a worker of it."""
    options = ["--workers=1", f"--quiet={str(quiet).lower()}"]
    for name, value in elsewhere.items():
        values = value if isinstance(value, list | tuple) else [value]
        options += [f"--{name.replace('_', '-')}={each}" for each in values if each]
    return lambda study: [*program(), "sweep", f"--join={study}", *options]
