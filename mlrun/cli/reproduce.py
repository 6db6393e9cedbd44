"""`mlrun reproduce`."""

from __future__ import annotations

from pathlib import Path

import click

from mlrun.cli.arguments import ELSEWHERE_HELP, DottedCommand
from mlrun.cli.processes import TAKES_PART
from mlrun.cli.shared_options import data_dir_option, device_option, plugin_option
from mlrun.cli.terminal import echo
from mlrun.machine.interrupts import undisturbed
from mlrun.machine.place import place_here


class ReproduceCommand(DottedCommand):
    """Takes options of the run's components."""

    dotted_help = (ELSEWHERE_HELP,)


@click.command(
    "reproduce",
    cls=ReproduceCommand,
    params=[
        click.Argument(["run_id"], metavar="RUN_ID"),
        plugin_option("Command"),
        data_dir_option("Command"),
        device_option("Command"),
        click.Option(["--quiet"], is_flag=True, help="print the result, warnings and errors only"),
    ],
)
@click.pass_context
def command(
    ctx: click.Context,
    /,
    run_id: str,
    plugins: tuple[Path, ...],
    data_dir: Path | None,
    device: str | None,
    quiet: bool,
) -> int:
    """Run a finished run again, and say whether it comes to the same.

    RUN_ID is the run's id or a unique start of it. A new run is made from what MLflow has of it:
    settings, seed, time limit as steps. What has changed since (packages, data, plugins, code,
    device) is told before it starts. Then weights, metrics and test predictions are compared:
    identical, within tolerance (all but 0.1 % of the predictions, losses to 1e-3), or differs,
    with the first input that changed; exit code 1 for the last. The last line on stdout is the id
    of the new run.
    """
    if place_here().rank:
        return TAKES_PART
    from mlrun.cli.display import listen, progress_for

    listen(quiet=quiet)
    progress = progress_for(quiet=quiet)
    with undisturbed():
        from mlrun.finished.reproduce import reproduce

    result = reproduce(
        run_id,
        plugins=plugins,
        data_dir=data_dir,
        device=device,
        options=ctx.meta["mlrun.options"],
        progress=progress,
    )
    for what, reason in result.run.failures.items():
        echo(f"Warning: {what} failed: {reason}", err=True)
    for line in result.agreement.lines:
        echo(line)
    echo(result.verdict)
    progress.links(result.run.link, result.run.comparison_link, result.run.report_link)
    click.echo(result.run.run_id)
    return 0 if result.agrees else 1
