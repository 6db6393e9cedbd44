"""`mlrun report`."""

from __future__ import annotations

import re
from pathlib import Path

import click

from mlrun.cli.display import listen
from mlrun.cli.pages import check_output, write_page
from mlrun.cli.shared_options import page_options
from mlrun.cli.terminal import echo
from mlrun.machine.interrupts import undisturbed


@click.command(
    "report",
    params=[
        click.Argument(["run_id"], metavar="RUN_ID"),
        *page_options("report-RUN_ID.html", "log the page to the run, in the place of its own"),
    ],
)
def command(run_id: str, output: Path | None, force: bool, log: bool) -> None:
    """Make the page of a run again, from what MLflow has of it.

    RUN_ID is the run's id or a unique start of it. A run that ends well has its page as the
    artifact report.html; this makes that of a run that was killed, failed, is still running,
    or was made without. Prints the path of the page, and its address in MLflow if it is logged.
    """
    if output is not None:
        check_output(output, force=force)
    listen(quiet=False)
    with undisturbed():
        from mlrun.finished.run_report import make_report
        from mlrun.record.logged import find_run

    run = find_run(run_id)
    if output is None and not log:
        output = Path(f"report-{re.sub('[^0-9A-Za-z]', '-', run.run_id[:8])}.html")
        check_output(output, force=force)
    report = make_report(run)
    if output is not None:
        write_page(output, report.page)
    if log:
        echo(report.log())
