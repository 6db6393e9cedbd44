"""Comparisons in MLflow: each is a run of its own, beside the runs that it compares."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from mlrun.record.logged import LoggedRun, add_file, answering
from mlrun.record.opening import launch_tags

COMPARES = "mlrun.compares"  # the tag with the ids of the runs, with commas between
FILE = "comparison.html"


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
