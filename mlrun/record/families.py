"""Families: runs under one parent run in MLflow, told from the parent by a tag of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlflow import MlflowClient

from mlrun.record.experiments import PARENT_TAG

FAMILY_TAG = "mlrun.family"  # of a parent, which trains nothing: what its children are, `seeds` say
ONWARD_TAG = "mlrun.onward"  # of a parent: what goes on with it, where `mlrun resume` does not
MEMBER_TAG = "mlrun.member"  # of a child: which of them it is, `seed 3` say
MEAN, SPREAD = "/mean", "/std"  # ends of the names of a parent's metrics: over its children
AT_ONCE = 1000  # runs


def is_parent(tags: Mapping[str, str]) -> bool:
    """Whether a run with these tags is the parent of a family."""
    return FAMILY_TAG in tags


def with_means(metrics: Mapping[str, float]) -> dict[str, float]:
    """Returns metrics, and those that are means over several runs under the figure's name too.

    >>> with_means({"test/loss/mean": 0.5})
    {'test/loss': 0.5, 'test/loss/mean': 0.5}
    """
    means = {n.removesuffix(MEAN): value for n, value in metrics.items() if n.endswith(MEAN)}
    return {**means, **metrics}


def children_of(client: MlflowClient, parent: Any) -> list[Any]:
    """Returns MLflow's runs under a parent, the oldest first.

    Args:
        client: of the store, which answers.
        parent: MLflow's run.
    """
    found: list[Any] = []
    token = None
    while True:
        page = client.search_runs(
            [parent.info.experiment_id],
            f"tags.`{PARENT_TAG}` = '{parent.info.run_id}'",
            max_results=AT_ONCE,
            order_by=["attributes.start_time ASC"],
            page_token=token,
        )
        found += page
        token = page.token
        if not token:
            return found
