"""What a run takes over from the one that it repeats, besides the settings."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from mlrun.preparing.prepared import Prepared
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
        """Returns the run that is ready to start, to take as many steps; sets torch's threads.

        More threads than there are processors would wait for each other.
        """
        if prepared.device.type == "cpu" and 0 < self.threads <= (os.cpu_count() or 1):
            torch.set_num_threads(self.threads)
        procedure = prepared.procedure
        steps = self.steps or procedure.steps
        return replace(prepared, procedure=replace(procedure, steps=steps, seconds=0.0))
