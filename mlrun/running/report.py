"""The report of a run that has just been tested, from what the process has in memory."""

from __future__ import annotations

import time
from collections.abc import Mapping

from mlrun.pages.account import Account, Tested
from mlrun.pages.report import report
from mlrun.pages.thumbnails import archive, thumbnails
from mlrun.preparing.prepared import Prepared
from mlrun.record.tracking import Tracker
from mlrun.running.pictures import Pictures
from mlrun.running.testing import Test
from mlrun.settings.plan import Plan
from mlrun.training.evaluation import Evaluation

PAGE = "report.html"  # the artifact


def tested_of(found: Evaluation, what: str) -> Tested:
    """Returns an evaluation as a page wants it; `what` says of which images it is."""
    logits, labels, indices = (t.numpy() for t in (found.logits, found.labels, found.indices))
    return Tested(found.part, what, logits, labels, indices)


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
    state, tested = prepared.state, tested_of(test.tested, test.images)
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
        tested=tested,
        thumbnails=thumbnails(tested, prepared.selections[tested.part]),
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
    if account.tested is not None and account.thumbnails is not None:
        name = f"predictions/{account.tested.part}-images.npz"
        tracker.artifact(name, archive(account.thumbnails))
    tracker.artifact(PAGE, report(account))
    return f"{tracker.link}/artifacts/{PAGE}"
