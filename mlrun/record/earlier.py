"""What a run that is taken up again has already, which is not logged a second time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlflow import MlflowClient

from mlrun.record.journal import Journal
from mlrun.record.ledger import rows_in
from mlrun.record.saved import FOLDER


@dataclass(frozen=True)
class Earlier:
    """What a run that is taken up again has already.

    rows: name and step of each metric.
    checkpoints: paths of its checkpoints in the store.
    files: names of the files and folders in it.
    """

    rows: frozenset[tuple[str, int]] = frozenset()
    checkpoints: tuple[str, ...] = ()
    files: frozenset[str] = frozenset()


NOTHING = Earlier()


def earlier_of(client: MlflowClient, run: Any, journal: Journal) -> Earlier:
    """Returns what a run has already, in the store or in its journal."""
    run_id = run.info.run_id
    logged = {
        (name, row.step)
        for name in run.data.metrics
        for row in client.get_metric_history(run_id, name)
    }
    return Earlier(
        frozenset(logged | rows_in(journal.folder)),
        tuple(file.path for file in client.list_artifacts(run_id, FOLDER)),
        frozenset(file.path for file in client.list_artifacts(run_id)),
    )
