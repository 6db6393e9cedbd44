"""Failures that do not end a run: the tag with the reason, the artifact with the traceback."""

from __future__ import annotations

import traceback
from collections.abc import Mapping

from mlrun.errors import one_line, redact
from mlrun.record.tracking import Tracker

PREFIX = "mlrun.failed."
VISUALISER = "visualiser "
OWN = {"servable model": "model", "report": "report"}  # the end of the tag, by the output


class Failures:
    """What was lost in a run, with the reasons; tags and artifacts of the run say so too.

    reasons: by what was lost, `visualiser weights` or `servable model`, the first reason.
    """

    def __init__(self, tracker: Tracker) -> None:
        self.reasons: dict[str, str] = failures_of(tracker.earlier_tags)
        self._tracker = tracker

    def add(self, what: str, error: BaseException, when: str = "") -> None:
        """Files the loss of `what`, if it is the first; `when` comes before the reason."""
        if what in self.reasons:
            return
        self.reasons[what] = f"{when}{one_line(error)}"
        trace = redact("".join(traceback.format_exception(error)))
        self._tracker.artifact(failure_file(what), trace)
        self._tracker.tags({failure_tag(what): self.reasons[what]})


def failure_tag(output: str) -> str:
    """Returns the tag whose value is the reason why an output of the run failed.

    >>> failure_tag("visualiser grad-cam"), failure_tag("servable model")
    ('mlrun.failed.grad-cam', 'mlrun.failed.model')
    """
    return PREFIX + OWN.get(output, output.removeprefix(VISUALISER))


def failure_file(output: str) -> str:
    """Returns the artifact with the traceback of that failure.

    >>> failure_file("visualiser grad-cam"), failure_file("servable model")
    ('failures/grad-cam.txt', 'failures/servable-model.txt')
    """
    return f"failures/{output.removeprefix(VISUALISER).replace(' ', '-')}.txt"


def failures_of(tags: Mapping[str, str]) -> dict[str, str]:
    """Returns the reasons that a run's tags hold, by what was lost.

    >>> failures_of({"mlrun.failed.grad-cam": "no layer", "mlrun.failed.report": "disk full"})
    {'visualiser grad-cam': 'no layer', 'report': 'disk full'}
    """
    names = {end: lost for lost, end in OWN.items()}
    ends = {tag.removeprefix(PREFIX): tag for tag in tags if tag.startswith(PREFIX)}
    return {
        names.get(end, end if " " in end else VISUALISER + end): tags[tag]
        for end, tag in ends.items()  # a visualiser's name has no space
    }
