"""What went wrong in a run without ending it."""

from __future__ import annotations

import traceback

from mlrun.errors import one_line, redact
from mlrun.record.failures import failure_file, failure_tag
from mlrun.record.tracking import Tracker


class Failures:
    """What was lost in a run, with the reasons; tags and artifacts of the run say so too.

    reasons: by what was lost, `visualiser weights` or `servable model`, the first reason.
    """

    def __init__(self, tracker: Tracker) -> None:
        self.reasons: dict[str, str] = {}
        self._tracker = tracker

    def add(self, what: str, error: BaseException, when: str = "") -> None:
        """Files the loss of `what`, if it is the first; `when` comes before the reason."""
        if what in self.reasons:
            return
        self.reasons[what] = f"{when}{one_line(error)}"
        trace = redact("".join(traceback.format_exception(error)))
        self._tracker.artifact(failure_file(what), trace)
        self._tracker.tags({failure_tag(what): self.reasons[what]})
