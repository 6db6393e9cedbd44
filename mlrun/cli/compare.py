"""`mlrun compare`."""

from __future__ import annotations

from pathlib import Path

import click

from mlrun.cli.display import listen
from mlrun.cli.pages import check_output, write_page
from mlrun.cli.shared_options import page_options
from mlrun.cli.terminal import echo, one_cell
from mlrun.errors import MlrunError
from mlrun.machine.interrupts import undisturbed

FILE = "comparison.html"


@click.command(
    "compare",
    params=[
        click.Argument(["runs"], nargs=-1, metavar="RUN RUN…"),
        *page_options(FILE, "log the page to MLflow, as a run of its own"),
        click.Option(
            ["--last"],
            type=click.IntRange(1),
            metavar="N",
            help="the last N runs, besides those that are given",
        ),
        click.Option(["--experiment"], metavar="NAME", help="that which the last runs are from"),
    ],
)
def command(
    runs: tuple[str, ...],
    output: Path | None,
    force: bool,
    log: bool,
    last: int | None,
    experiment: str | None,
) -> None:
    """Compare several runs in one page: params, curves, pictures, accuracies.

    RUN is a run's id or a unique start of it; that of a parent is of all runs below it. The page
    has the curves on one axis, the same layers side by side under one slider, accuracies with 95 %
    intervals, McNemar's test for each two runs that were tested on the same images, and the images
    about which they disagree.
    Runs that differ only in the seed are drawn together, as mean and spread. Prints the path
    of the page, and its address in MLflow if it is logged.
    """
    if experiment is not None and last is None:
        raise MlrunError(f"--experiment {experiment} says where --last N runs are from; add --last")
    if output is None and not log:
        output = Path(FILE)
    if output is not None:
        check_output(output, force=force)
    listen(quiet=False)
    with undisturbed():
        from mlrun.finished.compare import compare

    comparison = compare(
        runs,
        last=last or 0,
        experiment=experiment,
        progress=lambda text: echo(one_cell(text), err=True),
    )
    if output is not None:
        write_page(output, comparison.page)
    if log:
        echo(comparison.log())
