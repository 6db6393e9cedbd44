"""The report of a run that has just been tested, from what the process has in memory."""

from __future__ import annotations

import time
from collections.abc import Mapping

from mlrun.pages.account import Account
from mlrun.pages.report import report
from mlrun.pages.thumbnails import archive, thumbnails
from mlrun.preparing.prepared import Prepared
from mlrun.record.evaluations import thumbnails_file
from mlrun.record.tracking import Tracker
from mlrun.running.pictures import Pictures
from mlrun.running.testing import Test
from mlrun.settings.plan import Plan

PAGE = "report.html"  # the artifact


def account_of(
    plan: Plan,
    prepared: Prepared,
    tracker: Tracker,
    pictures: Pictures,
    test: Test,
    *,
    tags: Mapping[str, str],
    failures: Mapping[str, str],
) -> Account:
    """Returns what the report tells of a run that ends well.

    Args:
        plan: of the run.
        prepared: its data, and the state of its training.
        tracker: of the run.
        pictures: all of them rendered.
        test: of the best weights.
        tags: of the run.
        failures: what was lost, with the reasons.
    """
    state, predictions = prepared.state, test.tested.arrays
    tests = {name: [(test.best_epoch, value)] for name, value in test.metrics.items()}
    return Account(
        run_id=tracker.run_id,
        name=tracker.run_name,
        link=tracker.link,
        status="FINISHED",
        started=tracker.started,
        seconds=time.time() - tracker.started / 1000,
        best_epoch=test.best_epoch,
        params=plan.params(),
        tags=tags,
        history={**tests, **state.history, **state.steps},
        classes=tuple(prepared.data.classes),
        predictions=predictions,
        evaluated_on=test.images,
        thumbnails=thumbnails(predictions, prepared.selections[predictions.part]),
        pictures=pictures.album.pictures,
        figures=pictures.album.figures,
        tables=pictures.tables,
        failures=failures,
        defaults=plan.defaults(),
    )


def log_report(tracker: Tracker, account: Account) -> str:
    """Logs a run's page and the small copies of its images; returns the page's address.

    A page that is made again needs the copies.
    """
    if account.predictions is not None and account.thumbnails is not None:
        tracker.artifact(thumbnails_file(account.predictions.part), archive(account.thumbnails))
    tracker.artifact(PAGE, report(account))
    return f"{tracker.link}/artifacts/{PAGE}"
