"""What belongs to a run that is open in MLflow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlrun.data.batches import Batches
from mlrun.preparing.prepared import Prepared
from mlrun.record.failures import Failures
from mlrun.record.folders import run_folder
from mlrun.record.tracking import Tracker
from mlrun.running.data_sets import Digests
from mlrun.running.description import Description
from mlrun.running.progress import Progress
from mlrun.settings.plan import Plan
from mlrun.training.callbacks import Callback
from mlrun.training.loop import fit
from mlrun.training.procedure import Procedure
from mlrun.training.reports import Evaluate
from mlrun.training.state import TrainingState

Fit = Callable[[TrainingState, Batches, Procedure, Sequence[Callback], Evaluate | None], None]


@dataclass(frozen=True)
class Start:
    """What a run goes on from.

    place: where the training stands, for the user.
    callbacks: the states of callbacks, by the name of their class.
    weights: files of the weights of the best epochs, which lie elsewhere than in the run's folder.
    data: the digests that the run's parts had, by name; of those that are known.
    tags: that say so.
    """

    place: str
    callbacks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    weights: Sequence[Path] = ()
    data: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RunContext:
    """A run that is open in MLflow, and all that belongs to it.

    plan: what was asked for.
    prepared: data, model and the state of its training.
    description: tags and files, as they are logged.
    digests: of the data set's selections.
    tracker: takes what is logged.
    progress: shows the user how the run is getting on.
    failures: what was lost without ending the run.
    start: what it goes on from; None where it starts afresh.
    callbacks: that follow the training besides the run's own, behind them.
    fit: trains, as `mlrun.training.loop.fit` does.
    """

    plan: Plan
    prepared: Prepared
    description: Description
    digests: Digests
    tracker: Tracker
    progress: Progress
    failures: Failures
    start: Start | None = None
    callbacks: Sequence[Callback] = ()
    fit: Fit = fit

    @property
    def folder(self) -> Path:
        """The folder that the run keeps its files in while it lasts."""
        return run_folder(self.tracker.run_id)
