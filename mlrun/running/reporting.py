"""What a run that has just been tested has to tell, from what the process has in memory."""

from __future__ import annotations

import time
from collections.abc import Mapping

from mlrun.pages.account import Account
from mlrun.pages.report import report
from mlrun.pages.thumbnails import archive, thumbnails
from mlrun.preparing.prepared import Prepared
from mlrun.record.evaluations import thumbnails_file
from mlrun.record.tracking import Tracker
from mlrun.running.gallery import Gallery
from mlrun.settings.plan import Plan
from mlrun.training.predictions import Predictions

PAGE = "report.html"  # the artifact


def account_of(
    plan: Plan,
    prepared: Prepared,
    tracker: Tracker,
    gallery: Gallery,
    *,
    best: int,
    figures: Mapping[str, float],
    predictions: Predictions,
    evaluated_on: str,
    tags: Mapping[str, str],
) -> Account:
    """Returns what there is to tell of a run that ends well.

    Args:
        gallery: with all its pictures rendered.
        best: the epoch of the weights that were tested.
        figures: of the tests, logged at that epoch.
        predictions: of the best weights for the part that counts.
        evaluated_on: which images those are; see `Account`.
        tags: of the run.
    """
    state = prepared.state
    known = {name: [(best, value)] for name, value in figures.items()}
    return Account(
        run_id=tracker.run_id,
        name=tracker.run_name,
        link=tracker.link,
        status="FINISHED",
        started=tracker.started,
        seconds=time.time() - tracker.started / 1000,
        best_epoch=best,
        params=plan.params(),
        tags=tags,
        history={**known, **state.history, **state.steps},
        classes=tuple(prepared.data.classes),
        predictions=predictions,
        evaluated_on=evaluated_on,
        thumbnails=thumbnails(predictions, prepared.selections[predictions.part]),
        pictures=gallery.album,
        figures=gallery.figures,
        tables=gallery.tables,
        failures=gallery.failures,
        defaults=plan.defaults(),
    )


def log_report(tracker: Tracker, told: Account) -> None:
    """Logs a run's page, and the small copies of its images that a page made again needs."""
    if told.predictions is not None and told.thumbnails is not None:
        tracker.artifact(thumbnails_file(told.predictions.part), archive(told.thumbnails))
    tracker.artifact(PAGE, report(told))
