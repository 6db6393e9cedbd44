"""The overview of the last runs: their main metrics, and the params that differ."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mlflow import MlflowClient

from mlrun.errors import unknown
from mlrun.record.experiments import check_experiment
from mlrun.record.families import with_means
from mlrun.record.logged import OURS
from mlrun.record.lookup import answering, open_store
from mlrun.record.presence import about, look_after, status_of
from mlrun.record.saved import best_epoch_of
from mlrun.settings.run import setting_traits


@dataclass(frozen=True)
class Row:
    """One run in the overview.

    started: seconds since 1970. seconds: how long it took, or has been running.
    best_epoch: the epoch of its best weights; None where MLflow has none.
    note: what is to be done about it; empty of a run that lasts or has ended.
    metrics: the last logged value of each, as MLflow's own table shows them; of the parent of
        several runs their means besides, under the names of the figures.
    """

    run_id: str
    name: str
    experiment: str
    status: str
    started: float
    seconds: float
    best_epoch: int | None
    metrics: Mapping[str, float]
    params: Mapping[str, str]
    note: str = ""


def last_runs(limit: int, experiment: str | None) -> list[Row]:
    """Returns the last `limit` runs that mlrun started, the newest first.

    Args:
        limit: how many at most.
        experiment: name of the experiment they are from; None takes all.

    Raises:
        MlrunError: the store does not answer, or has no experiment of that name, or no more.
    """
    client = open_store()
    with answering():
        names = {e.experiment_id: e.name for e in client.search_experiments()}
        if experiment is not None and experiment not in names.values():
            if (deleted := client.get_experiment_by_name(experiment)) is not None:
                check_experiment(deleted)
            raise unknown("experiment", experiment, names.values())
        experiment_ids = [key for key, name in names.items() if experiment in (None, name)]
        runs = client.search_runs(
            experiment_ids, OURS, max_results=limit, order_by=["attributes.start_time DESC"]
        )
        return [row_of(client, run, names) for run in runs]


def row_of(client: MlflowClient, run: Any, experiments: Mapping[str, str]) -> Row:
    """Returns a run of MLflow's as a row; one whose process is gone took until its last event."""
    run, presence = look_after(client, run)
    tags, run_id, started = run.data.tags, run.info.run_id, (run.info.start_time or 0) / 1000
    last = run.info.end_time or (presence.last if presence and presence.is_gone else None)
    note = ""
    if presence is not None and presence.is_gone:
        note = about(client, run_id, tags, presence)
    return Row(
        run_id=run_id,
        name=run.info.run_name or run_id[:8],
        experiment=experiments[run.info.experiment_id],
        status=status_of(run, presence),
        started=started,
        seconds=(last / 1000 if last else time.time()) - started,
        best_epoch=best_epoch_of(tags),
        metrics=with_means(run.data.metrics),
        params=run.data.params,
        note=note,
    )


class WithParams(Protocol):
    """A run that has params."""

    @property
    def params(self) -> Mapping[str, str]:
        """As they are in MLflow."""


def differing(rows: Sequence[WithParams]) -> list[str]:
    """Returns the names of the params that are not the same in all `rows`.

    A param that a run does not have, as it has another component or is of an older version,
    is no difference. Settings come first, in their own order; the experiment is left out,
    since a row says it itself.
    """
    order = list(setting_traits())
    param_sets = [row.params for row in rows if row.params]  # a run that has just begun has none
    names = {name for params in param_sets for name in params} - {"experiment"}

    def differs(name: str) -> bool:
        return len({params[name] for params in param_sets if name in params}) > 1

    return sorted(
        filter(differs, names), key=lambda n: (order.index(n) if n in order else len(order), n)
    )
