"""Membership: what a run is as one of several under a parent run in MLflow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from mlrun.training.callbacks import Callback


@dataclass(frozen=True)
class Membership:
    """What a run is as one of several under a parent run in MLflow.

    parent: returns the id of the parent. It is called once all checks of the run are made, just
        before it is opened: a parent that is not open yet is opened then.
    name: of the run in MLflow.
    tags: that say which of them it is.
    callbacks: that follow its training, behind all others.
    """

    parent: Callable[[], str]
    name: str
    tags: Mapping[str, str] = field(default_factory=dict)
    callbacks: Sequence[Callback] = ()
