"""What a run takes over from the one that it repeats, besides the settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from mlrun.preparing.prepared import Prepared
from mlrun.preparing.threads import use_number_of_threads
from mlrun.running.description import Description
from mlrun.settings.plan import Plan

TAG = "mlrun.reproduces"  # the id of the run that is repeated


@dataclass(frozen=True)
class Repetition:
    """A run that is made again, without a clock: what stops it is its last step.

    run_id: of the run that is repeated.
    threads: CPU threads that it computed with; 0 where that is not known.
    steps: optimiser steps after which its time limit stopped it; 0 where nothing did.
    begin: called with all that is known of the new run before it is opened.
    """

    run_id: str
    threads: int
    steps: int
    begin: Callable[[Plan, Prepared, Description], None]

    def applied(self, prepared: Prepared) -> Prepared:
        """Returns the run that is ready to start, to take as many steps; sets torch's threads."""
        use_number_of_threads(str(self.threads), prepared.device)
        procedure = prepared.procedure
        steps = self.steps or procedure.steps
        return replace(prepared, procedure=replace(procedure, steps=steps, seconds=0.0))
