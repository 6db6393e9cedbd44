"""What belongs to a run that is open in MLflow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlrun.preparing.prepared import Prepared
from mlrun.record.failures import Failures
from mlrun.record.folders import run_folder
from mlrun.record.tracking import Tracker
from mlrun.running.data_sets import Digests
from mlrun.running.description import Description
from mlrun.running.progress import Progress
from mlrun.settings.plan import Plan


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
    """

    plan: Plan
    prepared: Prepared
    description: Description
    digests: Digests
    tracker: Tracker
    progress: Progress
    failures: Failures

    @property
    def folder(self) -> Path:
        """The folder that the run keeps its files in while it lasts."""
        return run_folder(self.tracker.run_id)
