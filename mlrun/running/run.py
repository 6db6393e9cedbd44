"""What a finished run came to."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Run:
    """A run that ended FINISHED.

    run_id, experiment_id: its place in MLflow.
    name: as MLflow shows it.
    best_epoch: the epoch of the best weights, by the monitored metric.
    best_weights: their checkpoint, as MLflow addresses it: `runs:/…/checkpoints/epoch-7.pt`.
    metrics: the last epoch's figures, and those of the test part on the best weights;
        losses are means over the examples, accuracies fractions.
    of_best: those of the best weights alone: of `val` as of the best epoch, and of the test part.
    failures: what went wrong without stopping the run, by what was lost: a picture, the
        servable model.
    link, comparison_link: its page in MLflow's UI, and the page of its experiment's charts.
    report_link: where MLflow's UI shows `report.html`; empty where there is none.
    unsent: events that the tracking store did not take yet; `mlrun sync` sends them.
    strict: whether a failure counts, by the run's setting.
    """

    run_id: str
    experiment_id: str
    name: str
    best_epoch: int
    best_weights: str
    metrics: dict[str, float]
    failures: dict[str, str]
    link: str
    comparison_link: str
    report_link: str = ""
    unsent: int = 0
    strict: bool = False
    of_best: dict[str, float] = field(default_factory=dict)
