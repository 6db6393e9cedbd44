"""The colours of runs in MLflow's UI: one for each, unlike those of the runs before it."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlrun.record.waiting import alone

if TYPE_CHECKING:
    from mlflow import MlflowClient

COLOUR_TAG = "mlflow.runColor"
GOLDEN_ANGLE = 0.381966  # of a turn: hues that follow one another stay far apart
OTHERS = 10.0  # seconds for runs that start at the same time, and are given theirs
UNLIKE = 20  # runs: how many of the last ones have other colours; more can hardly be told apart


def give_colour(client: MlflowClient, uri: str, experiment_id: str, run_id: str) -> None:
    """Gives a run a colour that no other of the last 20 coloured runs of its experiment has.

    Runs that start together on one machine wait for each other. Those of several machines do not,
    and may come to the same colour.

    Raises:
        Busy: another process keeps the lock; the store's own errors.
    """
    with alone(uri, OTHERS):
        latest = client.search_runs(
            [experiment_id],
            f"tags.`{COLOUR_TAG}` != ''",
            max_results=UNLIKE + 1,
            order_by=["attributes.start_time DESC"],
        )
        taken = [run.data.tags[COLOUR_TAG] for run in latest if run.info.run_id != run_id]
        client.set_tag(run_id, COLOUR_TAG, free_colour(taken))


def free_colour(taken: Sequence[str]) -> str:
    """Returns a colour that is not in `taken`, and far from the first of them.

    >>> free_colour(["#2f73b1", "#b12f4d"])
    '#2fb137'
    """
    colour = next_colour(taken[0] if taken else None)
    for _ in taken:
        if colour in taken:
            colour = next_colour(colour)
    return colour


def next_colour(previous: str | None) -> str:
    """Returns a colour, `#rrggbb`, far from the previous run's.

    >>> next_colour(None), next_colour("#2f73b1")
    ('#2f73b1', '#b12f4d')
    """
    hue = 0.58
    if previous is not None and len(previous) == 7:
        try:
            channels = [int(previous[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        except ValueError:
            return next_colour(None)
        hue = colorsys.rgb_to_hls(channels[0], channels[1], channels[2])[0] + GOLDEN_ANGLE
    red, green, blue = colorsys.hls_to_rgb(hue % 1, 0.44, 0.58)
    return "#" + "".join(f"{round(255 * channel):02x}" for channel in (red, green, blue))
