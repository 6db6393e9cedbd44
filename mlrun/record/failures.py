"""What went wrong without stopping a run: the tag and the artifact that say so."""

from __future__ import annotations

from collections.abc import Mapping

PREFIX = "mlrun.failed."
VISUALISER = "visualiser "
OWN = {"servable model": "model", "report": "report"}  # what is lost, by the end of its tag


def failure_tag(lost: str) -> str:
    """Returns the tag whose value is the reason why something was lost.

    >>> failure_tag("visualiser grad-cam"), failure_tag("servable model")
    ('mlrun.failed.grad-cam', 'mlrun.failed.model')
    """
    return PREFIX + OWN.get(lost, lost.removeprefix(VISUALISER))


def failure_file(lost: str) -> str:
    """Returns the artifact with the traceback of what made it lost.

    >>> failure_file("visualiser grad-cam"), failure_file("servable model")
    ('failures/grad-cam.txt', 'failures/servable-model.txt')
    """
    return f"failures/{lost.removeprefix(VISUALISER).replace(' ', '-')}.txt"


def failures_of(tags: Mapping[str, str]) -> dict[str, str]:
    """Returns the reasons that a run's tags hold, by what was lost.

    >>> failures_of({"mlrun.failed.grad-cam": "no layer", "mlrun.failed.report": "disk full"})
    {'visualiser grad-cam': 'no layer', 'report': 'disk full'}
    """
    lost_by_tag = {failure_tag(lost): lost for lost in OWN}
    return {
        lost_by_tag.get(tag, VISUALISER + tag.removeprefix(PREFIX)): reason
        for tag, reason in tags.items()
        if tag.startswith(PREFIX)
    }
