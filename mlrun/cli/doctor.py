"""`mlrun doctor`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from mlrun.cli.shared_options import wait_option
from mlrun.cli.sync import say_trouble
from mlrun.cli.terminal import echo
from mlrun.errors import MlrunError
from mlrun.machine.interrupts import undisturbed

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from mlrun.finished.examination import Finding


@dataclass(frozen=True)
class Line:
    """One line of the answer.

    left: whether it tells of something that is to be mended.
    size: bytes that were freed.
    """

    text: str
    left: bool = False
    size: int = 0


@click.command(
    "doctor",
    params=[
        click.Argument(["run_ids"], metavar="[RUN_ID]...", nargs=-1),
        click.Option(
            ["--fix"], is_flag=True, help="end lost runs, and send what they could not send"
        ),
        click.Option(["--clean"], is_flag=True, help="remove folders and caches that nobody needs"),
        wait_option("with --fix: "),
    ],
)
def command(run_ids: tuple[str, ...], fix: bool, clean: bool, wait: float) -> int:
    """Find what killed runs left, and mend it.

    Lists the runs that MLflow has as RUNNING, with what became of their processes, and the folders
    of runs and the caches on this machine. RUN_ID is a run's id or a unique start of it; without
    one, it is all of the store in use.

    --fix sends what the journal of a run has whose process is gone, and ends it: as the journal
    records, else as FAILED; a named run also where it is not known whether its process is gone,
    but never one of another host. --clean removes the folders of runs that MLflow has all of, or
    that were deleted there, and caches whose source is gone; the folder of a named run also where
    something in it was not sent or could be gone on from. What is in use is never touched.

    Exit code 1 if something is left to be fixed, sent or cleaned.
    """
    with undisturbed():
        from mlrun.finished.examination import examine
        from mlrun.record.folders import in_bytes
        from mlrun.record.lookup import open_store

    client = open_store()
    findings = examine(client, run_ids)
    failed = False
    if fix:
        failed = not mend(client, findings, wait, named=bool(run_ids))
        seen = {finding.run_id for finding in findings}
        findings = [finding for finding in examine(client) if finding.run_id in seen]
    lines = list(folders(client, findings, clean=clean, named=bool(run_ids)))
    if not run_ids:
        lines += list(cached(clean=clean))
    for line in lines:
        echo(line.text)
    if freed := sum(line.size for line in lines):
        click.echo(f"{in_bytes(freed)} freed", err=True)
    left = failed or any(line.left for line in lines)
    if not left:
        click.echo("nothing is left to be mended", err=True)
    return 1 if left else 0


def mend(client: MlflowClient, findings: Sequence[Finding], wait: float, *, named: bool) -> bool:
    """Ends the runs whose process is gone, prints what was done; returns whether nothing failed.

    Named ones are ended also where it is not known whether their process is gone.
    """
    from mlrun.finished.cures import end_lost

    done = True
    for finding in findings:
        if finding.cure == "fix" or (named and finding.ended):
            try:
                echo(end_lost(client, finding.run_id, wait, say_trouble))
            except MlrunError as error:
                echo(f"Warning: run {finding.run_id}: {error}", err=True)
                done = False
    return done


def folders(
    client: MlflowClient, findings: Sequence[Finding], *, clean: bool, named: bool
) -> Iterator[Line]:
    """Yields what is found of runs and their folders, and removes those that it may."""
    from mlrun.finished.cures import remove_folder

    for finding in findings:
        if clean and (finding.cure == "clean" or (named and finding.given_up)):
            text, size = remove_folder(client, finding.run_id, asked=named)
            yield Line(text, left=not size, size=size)
        else:
            yield Line(finding.text, left=finding.cure != "")


def cached(*, clean: bool) -> Iterator[Line]:
    """Yields what is found of caches, and removes those that nobody needs."""
    from mlrun.finished.cache_findings import about_pretrained, examine_caches, remove_cache

    for cache, text, needless in examine_caches():
        if clean and needless:
            done, size = remove_cache(cache)
            yield Line(done, left=not size, size=size)
        else:
            yield Line(text, left=needless)
    if text := about_pretrained():
        yield Line(text)
