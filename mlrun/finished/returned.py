"""A finished run of the store, as `mlrun.train` returned it."""

from __future__ import annotations

from mlrun.record import links, store
from mlrun.record.failures import failures_of
from mlrun.record.logged import LoggedRun
from mlrun.running.outputs import PAGE
from mlrun.running.run import Run
from mlrun.training.checkpoint_files import weights_file


def returned(run: LoggedRun) -> Run:
    """Returns a finished run of the store as `mlrun.train` returned it."""
    base, best = links.ui_base(store.address()), run.best_epoch or 0
    return Run(
        run_id=run.run_id,
        experiment_id=run.experiment_id,
        name=run.name,
        best_epoch=best,
        best_weights=f"runs:/{run.run_id}/checkpoints/{weights_file(best)}",
        metrics=dict(run.metrics),
        failures=failures_of(run.tags),
        link=run.link,
        comparison_link=links.comparison_link(base, run.experiment_id),
        report_link=f"{run.link}/artifacts/{PAGE}",
        strict=run.settings().strict,
        of_best=of_best(run, best),
    )


def of_best(run: LoggedRun, epoch: int) -> dict[str, float]:
    """Returns the figures of the best weights, which are those of an epoch."""
    validated = {n: run.metric(n, epoch) for n in run.metrics if n.startswith("val/")}
    tested = {n: value for n, value in run.metrics.items() if n.startswith(("test/", "test-"))}
    return {**{n: value for n, value in validated.items() if value is not None}, **tested}
