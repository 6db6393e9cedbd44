"""What a run takes over from the one that it repeats, besides the settings."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from mlrun.preparing.prepared import Prepared
from mlrun.preparing.threads import use_number_of_threads
from mlrun.running.context import Start
from mlrun.running.description import Description
from mlrun.settings.plan import Plan

TAG = "mlrun.reproduces"  # the id of the run that is repeated
STEPS_TAG = "mlrun.reproduces_steps"  # after how many it ends, in place of its time limit


@dataclass(frozen=True)
class Repetition:
    """A run that is made again, without a clock: what stops it is its last step.

    run_id: of the run that is repeated.
    threads: CPU threads that it computed with; 0 where that is not known.
    steps: optimiser steps after which its time limit stopped it; 0 where nothing did.
    begin: called with all that is known of the new run before it is opened.
    tags: that the new run takes over.
    start: puts the training where the run began, of one that did not begin with its first step.
    """

    run_id: str
    threads: int
    steps: int
    begin: Callable[[Plan, Prepared, Description], None]
    tags: Mapping[str, str] = field(default_factory=dict)
    start: Callable[[Prepared], Start] | None = None

    @property
    def own_tags(self) -> dict[str, str]:
        """The tags of the new run that say what it repeats."""
        counted = {STEPS_TAG: str(self.steps)} if self.steps else {}
        return {**self.tags, TAG: self.run_id, **counted}

    def applied(self, prepared: Prepared) -> Prepared:
        """Returns the run that is ready to start, to take as many steps; sets torch's threads."""
        use_number_of_threads(str(self.threads), prepared.device)
        return without_clock(prepared, self.steps)


def without_clock(prepared: Prepared, steps: int) -> Prepared:
    """Returns a run that is ready, to take so many steps; 0 for as many as its settings say."""
    procedure = prepared.procedure
    steps = steps or procedure.steps
    return replace(prepared, procedure=replace(procedure, steps=steps, seconds=0.0))


def repeated(prepared: Prepared, tags: Mapping[str, str]) -> Prepared:
    """Returns a run that is ready, and has these tags: as it was if it repeats another one."""
    steps = tags.get(STEPS_TAG, "")
    return without_clock(prepared, int(steps)) if re.fullmatch("[0-9]{1,9}", steps) else prepared
