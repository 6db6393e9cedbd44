"""`mlrun compare`: several runs of the store in one page, a file or logged as a run."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mlrun.errors import MlrunError
from mlrun.finished.read import read_account
from mlrun.pages.comparison import comparison
from mlrun.record.families import children_of, is_parent
from mlrun.record.logged import LoggedRun, find_any_run, find_run
from mlrun.record.lookup import answering
from mlrun.record.opening import launch_tags
from mlrun.record.overview import last_runs
from mlrun.record.run_files import add_file

LOG = logging.getLogger(__name__)
MOST_RUNS = 50  # in one page
PICTURES = 120  # of each key, in all runs together, at most
COMPARES = "mlrun.compares"  # the tag with the ids of the runs, with commas between
FILE = "comparison.html"


@dataclass(frozen=True)
class Comparison:
    """A page that compares runs, and the runs in its order."""

    page: str
    runs: tuple[LoggedRun, ...]

    def log(self) -> str:
        """Logs the page to MLflow as a run of its own; returns the address of the page there."""
        return log_comparison(self.runs, self.page)


def compare(
    references: Sequence[str],
    *,
    last: int = 0,
    experiment: str | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> Comparison:
    """Returns the page that compares several runs.

    Args:
        references: their ids, or unique starts of them; that of a parent is of all its children.
        last: so many of the last runs besides, the oldest of them first.
        experiment: the name of that which the last runs are from; None takes all.
        progress: called with one line for each run that is read.

    Raises:
        MlrunError: the store does not answer, a run is not there or given twice, or they are
            too few or too many.
    """
    runs = find_runs(references, last, experiment)
    with tempfile.TemporaryDirectory() as folder:
        accounts = []
        for number, run in enumerate(runs, start=1):
            progress(f"reading run {number} of {len(runs)}: {run.name} ({run.run_id[:8]})")
            most = max(4, PICTURES // len(runs))
            accounts.append(read_account(run, Path(folder), most_epochs=most, steps=False))
        progress("drawing the page")
        return Comparison(comparison(accounts), tuple(runs))


def find_runs(references: Sequence[str], last: int, experiment: str | None) -> list[LoggedRun]:
    """Returns the runs of these references and the last ones, in their order; see `compare`."""
    reference_of: dict[str, str] = {}
    runs = []
    for reference in references:
        for run in meant_by(reference):
            if run.run_id in reference_of:
                raise MlrunError(
                    f"run {run.run_id} is given twice, as {reference_of[run.run_id]} and "
                    f"{reference}; give each run once"
                )
            reference_of[run.run_id] = reference
            runs.append(run)
    if last:
        ids = [row.run_id for row in reversed(last_runs(last, experiment))]
        runs += readable(run_id for run_id in ids if run_id not in reference_of)
    if not 2 <= len(runs) <= MOST_RUNS:
        raise MlrunError(
            f"{len(runs)} run{'' if len(runs) == 1 else 's'} to compare; expected 2 to "
            f"{MOST_RUNS}: give ids that mlrun runs lists, or --last N"
        )
    return runs


def meant_by(reference: str) -> list[LoggedRun]:
    """Returns the run of that id; in the place of a parent, such as of several seeds, those below.

    Raises:
        MlrunError: as `find_run` says.
    """
    run = find_any_run(reference)
    if not is_parent(run.tags):
        return [run]
    with answering():
        children = children_of(run.client, run.client.get_run(run.run_id))
    return [find_run(child.info.run_id) for child in children]


def readable(run_ids: Iterable[str]) -> Iterator[LoggedRun]:
    """Yields those of the runs that can be read, and tells the user of each other one."""
    for run_id in run_ids:
        try:
            yield find_run(run_id)
        except MlrunError as error:
            LOG.warning("run %s is left out: %s", run_id, error)


def log_comparison(runs: Sequence[LoggedRun], page: str) -> str:
    """Logs a page as a run in the experiment of the first of `runs`; returns its address.

    The run is finished, and `mlrun runs` does not list it, as it trained nothing.

    Raises:
        MlrunError: the store does not take it.
    """
    client, first = runs[0].client, runs[0]
    tags = {**launch_tags(), COMPARES: ",".join(run.run_id for run in runs)}
    name = f"comparison of {len(runs)} runs"
    with answering():
        run_id: str = client.create_run(first.experiment_id, run_name=name, tags=tags).info.run_id
        try:
            add_file(client, run_id, PurePosixPath(FILE), page.encode())
        except BaseException:
            client.set_terminated(run_id, "FAILED")
            raise
        client.set_terminated(run_id, "FINISHED")
    return f"{first.link.removesuffix(first.run_id)}{run_id}/artifacts/{FILE}"
