"""The chart page of an experiment in MLflow's UI, opened on the pictures of its runs.

The chart page lists every param above each picture, which buries it. So a view of it is
kept with the experiment, as MLflow keeps a view that a user shares: the tag
`mlflow.sharedViewState.<key>` holds the page's state (read in MLflow 3.17's UI: JSON, or
`deflate;` and its zlib form in base64), and `viewStateShareKey=<key>` in the link applies
it. What it does not name, the curves, MLflow adds itself.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable
from typing import Any

VIEW_KEY = "mlrun"
VIEW_TAG = f"mlflow.sharedViewState.{VIEW_KEY}"
CARD_HEIGHT = 570  # pixels: a picture of `THUMBNAIL`, its title and the slider
MOST_KEYS = 100  # pictures in one view


def view_state(keys: Iterable[str], step: int) -> str:
    """Returns the view: validation curves, then the pictures at `step`, then all else.

    Each picture key is one card over the whole width, the runs side by side, without params.
    """
    inside = {"columns": 1, "cardHeight": CARD_HEIGHT}
    sections = [
        section("val", "val"),
        {**section("inside", "Looking inside"), "isGenerated": False, **inside},
        section("train", "train"),
        section("test", "test"),
        section("metrics", "Model metrics"),
        section("system", "System metrics"),
    ]
    charts = [
        {
            "uuid": f"inside-{key}",
            "type": "IMAGE",
            "runsCountToCompare": 10,
            "metricSectionId": "inside",
            "deleted": False,
            "isGenerated": True,
            "imageKeys": [key],
            "step": step,
            "showRunParams": False,
        }
        for key in keys
    ]
    state = {
        "compareRunCharts": charts,
        "compareRunSections": sections,
        "isAccordionReordered": True,  # else MLflow sorts the sections
    }
    packed = zlib.compress(json.dumps(state).encode(), 9)
    return f"deflate;{base64.b64encode(packed).decode()}"


def section(uuid: str, name: str) -> dict[str, Any]:
    """Returns one section of the page, which MLflow fills with the charts of that name."""
    return {
        "uuid": uuid,
        "name": name,
        "display": True,
        "isReordered": False,
        "deleted": False,
        "isGenerated": True,
    }


def keys_of(state: str | None) -> list[str]:
    """Returns the picture keys of a view that `view_state` made; none of any other text."""
    try:
        packed = base64.b64decode((state or "").removeprefix("deflate;"))
        charts = json.loads(zlib.decompress(packed))["compareRunCharts"]
        return [key for chart in charts for key in chart["imageKeys"]]
    except (ValueError, KeyError, TypeError, RecursionError, zlib.error):
        return []


def with_keys(state: str | None, keys: Iterable[str], step: int) -> str:
    """Returns the view with `keys` first and those it had before after them."""
    fresh = list(dict.fromkeys(keys))
    old = [key for key in keys_of(state) if key not in fresh]
    return view_state([*fresh, *old][:MOST_KEYS], step)
