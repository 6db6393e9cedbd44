"""`report.html`: all that there is to tell of one run, in one page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mlrun.pages import curves, pictures, tested
from mlrun.pages.account import Account, Tested
from mlrun.pages.page import duration, percent, render
from mlrun.pages.pictures import Still
from mlrun.training.statistics import calibration, interval

ROBUSTNESS = "robustness-table"
TOLD = {ROBUSTNESS, "per-class"}  # tables that have a section of their own
LONGEST_TABLE = 100  # rows of another table in the page
PART_NAMES = {"test": "Test", "val": "Validation"}


def report(account: Account, *, budget: int = pictures.BUDGET) -> str:
    """Returns the page of one run, HTML that needs nothing else and asks nobody.

    Args:
        account: what is known of the run.
        budget: bytes of pictures (PNG) by epoch; where they are more, epochs are left out.
    """
    charts = curves.charts(account.history, account.best_epoch)
    inside = looking_inside(account, budget)
    results, data = results_of(account)
    if ROBUSTNESS in account.tables:
        charts |= tested.robustness(account.tables[ROBUSTNESS])
    return render(
        "report.html",
        scripts=("images.js", "confusion.js"),
        styles=("report.css",),
        data={
            **data,
            "charts": charts | data.get("charts", {}),
            "frames": pictures.frames(inside["drawn"]),
            "told": told(account),
        },
        account=account,
        head=head(account),
        by_epoch=[key for key in charts if key.startswith("epoch/")],
        by_step=[key for key in charts if key.startswith("step/")],
        robustness=[key for key in charts if key.startswith("robustness/")],
        variants=variants(account),
        inside=inside,
        figures={
            name: pictures.still(path, smaller=False) for name, path in account.figures.items()
        },
        tables={name: table for name, table in account.tables.items() if name not in TOLD},
        longest_table=LONGEST_TABLE,
        settings=settings(account),
        **results,
    )


def head(account: Account) -> dict[str, Any]:
    """Returns what the head of the page says: when, how long, on what."""
    params, tags = account.params, account.tags
    epochs = max((points[-1][0] for name, points in by_epoch(account)), default=0)
    return {
        "when": datetime.fromtimestamp(account.started / 1000, UTC).strftime("%d %B %Y, %H:%M UTC"),
        "took": "–" if account.seconds is None else duration(account.seconds),
        "epochs": epochs,
        "model": params.get("model", ""),
        "dataset": params.get("dataset", ""),
        "device": tags.get("mlrun.device_name", tags.get("mlrun.device", "")),
        "reason": tags.get("mlrun.reason") or tags.get("mlrun.stopped", ""),
    }


def by_epoch(account: Account) -> list[tuple[str, curves.Points]]:
    """Returns the metrics of training and validation by epoch."""
    parts = ("train/", "val/")
    return [(name, points) for name, points in account.history.items() if name.startswith(parts)]


def told(account: Account) -> dict[int, str]:
    """Returns the line that stands beside the slider, by epoch."""
    known = account.history.get("val/accuracy", ())
    return {epoch: f"val accuracy {percent(value)}" for epoch, value in known}


def looking_inside(account: Account, budget: int) -> dict[str, Any]:
    """Returns the pictures by epoch, in groups of one visualiser each."""
    epochs = pictures.epochs_of(account.pictures)
    kept = pictures.kept_epochs(account.pictures, account.best_epoch, budget)
    drawn = pictures.stills(account.pictures, kept)
    visualisers = account.params.get("visualisers", "").split(",")
    names = {name.strip().replace("_", "-").replace("/", "-") for name in visualisers}
    groups: dict[str, dict[str, Still]] = {}
    for key, frames in drawn.items():
        group = group_of(key, names)
        groups.setdefault(group, {})[key] = next(iter(frames.values()))
    return {"epochs": kept, "all": len(epochs), "drawn": drawn, "groups": groups}


def group_of(key: str, visualisers: set[str]) -> str:
    """Returns the visualiser that a picture is of, by the start of its key.

    >>> group_of("feature-maps-conv1", {"feature-maps", "weights"}), group_of("mine-x", set())
    ('feature-maps', 'mine')
    """
    ours = [name for name in visualisers if key == name or key.startswith(f"{name}-")]
    return max(ours, key=len, default=re.split(r"[-/]", key)[0])


def results_of(account: Account) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns what the template and the scripts are told of the tested images."""
    known = account.tested
    if known is None or not len(known.labels):
        return {"result": None}, {}
    classes = tested.class_names(account, known)
    counts = tested.confusion(known)
    found = calibration(known.chances, known.labels)
    right, low, high = tested.right_interval(known)
    few = len(classes) <= tested.LARGEST_TABLE
    result = {
        "part": PART_NAMES.get(known.part, known.part),
        "images": len(known.labels),
        "right": right,
        "accuracy": right / len(known.labels),
        "low": low,
        "high": high,
        "loss": loss_of(account, known),
        "classes": classes,
        "matrix": list(tested.squares(counts)) if few else None,
        "calibration": found,
        "per_class": tested.class_rows(known, classes),
        "thumbnails": account.thumbnails is not None,
    }
    data: dict[str, Any] = {
        "classes": classes,
        "cells": tested.filled(counts),
        "charts": {"reliability": tested.reliability(found)},
    }
    if account.thumbnails is not None:
        data["images"] = tested.images(known, account.thumbnails)
        data["losses"] = tested.highest_losses(known, account.thumbnails)
    return {"result": result}, data


def loss_of(account: Account, known: Tested) -> float:
    """Returns the loss on the tested part: the run's own figure, else the cross-entropy."""
    logged = dict(account.history.get(f"{known.part}/loss", ()))
    own = logged.get(-1 if account.best_epoch is None else account.best_epoch)
    return float(known.losses.mean()) if own is None else own


def variants(account: Account) -> list[tuple[str, float, float | None, float | None]]:
    """Returns accuracy and its 95 % interval on each changed or other test part."""
    found = []
    count = len(account.tested.labels) if account.tested and account.tested.part == "test" else 0
    for name, points in sorted(account.history.items()):
        part, _, what = name.partition("/")
        if part.startswith("test-") and what == "accuracy" and points:
            accuracy = points[-1][1]
            ends = interval(round(accuracy * count), count) if count else (None, None)
            found.append((part, accuracy, *ends))
    return found


def settings(account: Account) -> dict[str, Mapping[str, str]]:
    """Returns the params, those that are not the default apart."""
    known = account.defaults
    changed = {n: v for n, v in account.params.items() if n in known and known[n] != v}
    others = {n: v for n, v in account.params.items() if n not in changed}
    return {"changed": changed, "others": others}
