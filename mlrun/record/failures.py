"""Failures that do not end a run: the tag with the reason, the artifact with the traceback."""

from __future__ import annotations

from collections.abc import Mapping

PREFIX = "mlrun.failed."
VISUALISER = "visualiser "
OWN = {"servable model": "model", "report": "report"}  # the end of the tag, by the output


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
    """Returns the reasons in a run's tags, by the output that failed.

    >>> failures_of({"mlrun.failed.grad-cam": "no layer", "mlrun.failed.report": "disk full"})
    {'visualiser grad-cam': 'no layer', 'report': 'disk full'}
    """
    outputs = {failure_tag(output): output for output in OWN}
    return {
        outputs.get(tag, VISUALISER + tag.removeprefix(PREFIX)): reason
        for tag, reason in tags.items()
        if tag.startswith(PREFIX)
    }
