"""What a run logs once it is tested: the servable model, and the report."""

from __future__ import annotations

import time
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from mlrun.errors import contained
from mlrun.preparing.prepared import Prepared
from mlrun.record.evaluations import thumbnails_file
from mlrun.running.context import RunContext
from mlrun.running.testing import Test

if TYPE_CHECKING:
    from mlrun.pages.account import Account
    from mlrun.running.visualising import DrawPictures

PAGE = "report.html"  # the artifact


def log_results(context: RunContext, test: Test, pictures: DrawPictures | None) -> str:
    """Logs the servable model and the report; returns the report's address, empty without one.

    One that cannot be made costs only that.
    """
    settings, state, link = context.plan.settings, context.prepared.state, ""
    if settings.log_model:
        try:
            with contained(interrupts=True):
                log_servable(context)
        except Exception as error:
            context.failures.add("servable model", error)
    if pictures is None:
        return link
    pictures.close()
    if settings.report:
        try:
            link = log_report(context, account_of(context, test, pictures))
        except Exception as error:
            context.failures.add("report", error)
    context.tracker.show(pictures.log.index.pictures, state.epoch)
    return link


def log_servable(context: RunContext) -> None:
    """Logs the evaluated model with the run's normalisation; raises what its export raises."""
    from mlrun.training.servable import Servable

    prepared = context.prepared
    servable = Servable(prepared.normalisation, prepared.state.evaluated)
    example = example_batch(prepared)
    with torch.no_grad():
        output = servable(torch.from_numpy(example)).numpy()
    context.tracker.model(servable, example, output, servable_requirements())


def example_batch(prepared: Prepared) -> NDArray[np.float32]:
    """Returns two raw training images as the served model takes them, float32 (2, C, H, W).

    Two, because the export takes a batch of one for a fixed batch size.
    """
    images = prepared.data.train.images[:2].float()
    images = images if len(images) == 2 else images.repeat(2, 1, 1, 1)
    return np.asarray(images.numpy())


def servable_requirements() -> list[str]:
    """Returns what pip must install to serve the model."""
    return [f"{name}=={version(name)}" for name in ("mlflow", "torch", "numpy")]


def account_of(context: RunContext, test: Test, pictures: DrawPictures) -> Account:
    """Returns the account of a run that ends well, from what the process has in memory.

    Args:
        context: of the run.
        test: of the best weights.
        pictures: all of them rendered.
    """
    from mlrun.pages.account import Account
    from mlrun.pages.thumbnails import thumbnails

    plan, prepared, tracker = context.plan, context.prepared, context.tracker
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
        tags=context.description.tags,
        history={**tests, **state.history, **state.steps},
        classes=tuple(prepared.data.classes),
        predictions=predictions,
        evaluated_on=test.images,
        thumbnails=thumbnails(predictions, prepared.selections[predictions.part]),
        pictures=pictures.log.index.pictures,
        figures=pictures.log.index.figures,
        tables=pictures.tables,
        failures=context.failures.reasons,
        defaults=plan.defaults(),
    )


def log_report(context: RunContext, account: Account) -> str:
    """Logs a run's page and the small copies of its images; returns the page's address.

    A page that is made again needs the copies.
    """
    from mlrun.pages.report import report
    from mlrun.pages.thumbnails import archive

    if account.predictions is not None and account.thumbnails is not None:
        name = thumbnails_file(account.predictions.part)
        context.tracker.artifact(name, archive(account.thumbnails))
    context.tracker.artifact(PAGE, report(account))
    return f"{context.tracker.link}/artifacts/{PAGE}"
