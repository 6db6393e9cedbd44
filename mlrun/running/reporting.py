"""What a run that has just been tested has to tell, from what the process has in memory."""

from __future__ import annotations

import time
from collections.abc import Mapping

from mlrun.pages.account import Account, Tested
from mlrun.pages.report import report
from mlrun.pages.thumbnails import archive, thumbnails
from mlrun.preparing.prepared import Prepared
from mlrun.record.tracking import Tracker
from mlrun.running.gallery import Gallery
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
    gallery: Gallery,
    *,
    best: int,
    figures: Mapping[str, float],
    tested: Tested,
    tags: Mapping[str, str],
) -> Account:
    """Returns what there is to tell of a run that ends well.

    Args:
        gallery: with all its pictures rendered.
        best: the epoch of the weights that were tested.
        figures: of the tests, logged at that epoch.
        tested: what the best weights say of the part that counts.
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
        tested=tested,
        thumbnails=thumbnails(tested, prepared.selections[tested.part]),
        pictures=gallery.album,
        figures=gallery.figures,
        tables=gallery.tables,
        failures=gallery.failures,
        defaults=plan.defaults(),
    )


def log_report(tracker: Tracker, told: Account) -> None:
    """Logs a run's page, and the small copies of its images that a page made again needs."""
    if told.tested is not None and told.thumbnails is not None:
        tracker.artifact(f"predictions/{told.tested.part}-images.npz", archive(told.thumbnails))
    tracker.artifact(PAGE, report(told))
