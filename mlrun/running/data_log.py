"""Logs the data sets of a run, and names what of them differs from before it was resumed."""

from __future__ import annotations

from collections.abc import Mapping

from mlrun.record.evaluations import evaluation_tag
from mlrun.running.context import RunContext
from mlrun.running.data_sets import logged_data_sets
from mlrun.running.testing import Tester
from mlrun.settings.changes import Variant


def log_data_sets(context: RunContext) -> None:
    """Logs the data sets, once they are digested; called from the thread that does that."""
    sets = logged_data_sets(context.plan, context.prepared, context.digests)
    if context.start is not None:
        compare_data(context, context.start.data)
    context.tracker.inputs(sets)
    validated = Tester(context).images("val", Variant())
    context.tracker.tags({evaluation_tag("val"): validated})


def compare_data(context: RunContext, before: Mapping[str, str]) -> None:
    """Names the parts whose images or labels differ from those before the run was resumed.

    Args:
        context: of the run.
        before: the digests that its parts had, by name.
    """
    for part, digest_then in before.items():
        digest_now = context.digests.of(part)
        if digest_now != digest_then:
            text = f"the data of {part} are others than before: {digest_now}, {digest_then}"
            context.tracker.tags({f"mlrun.changed.{part}-data": f"{digest_then} to {digest_now}"})
            context.progress.warn(text)
