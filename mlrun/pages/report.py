"""`report.html`: the settings, metrics, pictures and test results of one run, in one page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mlrun.pages import results, stills
from mlrun.pages.account import Account
from mlrun.pages.charts import Points
from mlrun.pages.page import duration, percent, render
from mlrun.pages.run_charts import run_charts
from mlrun.record.events import REASON_TAG
from mlrun.record.per_class import per_class
from mlrun.training.predictions import Predictions
from mlrun.training.statistics import calibration, interval

OWN_SECTION = {
    results.ROBUSTNESS,
    "per-class",
}  # tables that the page shows in a section of their own
LONGEST_TABLE = 100  # rows of another table in the page
PART_NAMES = {"test": "Test", "val": "Validation"}


def report(account: Account, *, budget: int = stills.BUDGET) -> str:
    """Returns the page of one run, HTML that loads nothing else.

    Args:
        account: of the run.
        budget: bytes of pictures (PNG) by epoch; where they are more, epochs are left out.
    """
    charts = run_charts(account.history, account.best_epoch)
    inside = looking_inside(account, budget)
    result, data = results_of(account)
    if results.ROBUSTNESS in account.tables:
        charts |= results.robustness(account.tables[results.ROBUSTNESS])
    return render(
        "report.html",
        scripts=("images.js", "confusion.js"),
        styles=("report.css",),
        data={
            **data,
            "charts": charts | data.get("charts", {}),
            "frames": stills.frames(inside["pictures"]),
            "told": slider_texts(account),
        },
        account=account,
        head=head(account),
        by_epoch=[key for key in charts if key.startswith("epoch/")],
        by_step=[key for key in charts if key.startswith("step/")],
        robustness=[key for key in charts if key.startswith("robustness/")],
        variants=variants(account),
        inside=inside,
        figures={name: stills.still(path, smaller=False) for name, path in account.figures.items()},
        tables={name: table for name, table in account.tables.items() if name not in OWN_SECTION},
        longest_table=LONGEST_TABLE,
        settings=settings(account),
        **result,
    )


def head(account: Account) -> dict[str, Any]:
    """Returns the facts in the head of the page: when, how long, on which device."""
    params, tags = account.params, account.tags
    epochs = max((points[-1][0] for points in metrics_by_epoch(account)), default=0)
    return {
        "when": moment(account.started),
        "took": "–" if account.seconds is None else duration(account.seconds),
        "epochs": epochs,
        "model": params.get("model", ""),
        "dataset": params.get("dataset", ""),
        "device": tags.get("mlrun.device_name", tags.get("mlrun.device", "")),
        "reason": tags.get(REASON_TAG) or tags.get("mlrun.stopped", ""),
    }


def moment(milliseconds: int) -> str:
    """Returns a time since 1970 as the page shows it; a dash for one that no calendar has.

    >>> moment(1_700_000_000_000), moment(10**18)
    ('14 November 2023, 22:13 UTC', '–')
    """
    try:
        when = datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return "–"
    return when.strftime("%d %B %Y, %H:%M UTC")


def metrics_by_epoch(account: Account) -> list[Points]:
    """Returns the (epoch, value) pairs of each metric of training and validation."""
    parts = ("train/", "val/")
    return [points for name, points in account.history.items() if name.startswith(parts)]


def slider_texts(account: Account) -> dict[int, str]:
    """Returns the line beside the slider, by epoch."""
    accuracies = account.history.get("val/accuracy", ())
    return {epoch: f"val accuracy {percent(value)}" for epoch, value in accuracies}


def looking_inside(account: Account, budget: int) -> dict[str, Any]:
    """Returns the pictures by epoch, in groups of one visualiser each."""
    epochs = stills.epochs_of(account.pictures)
    shown_epochs = stills.kept_epochs(account.pictures, account.best_epoch, budget)
    pictures = stills.stills(account.pictures, shown_epochs)
    visualisers = account.params.get("visualisers", "").split(",")
    names = {name.strip().replace("_", "-").replace("/", "-") for name in visualisers}
    groups: dict[str, dict[str, stills.Still]] = {}
    for key, frames in pictures.items():
        group = group_of(key, names)
        groups.setdefault(group, {})[key] = next(iter(frames.values()))
    return {"epochs": shown_epochs, "all": len(epochs), "pictures": pictures, "groups": groups}


def group_of(key: str, visualisers: set[str]) -> str:
    """Returns the visualiser that a picture is of, by the start of its key.

    >>> group_of("feature-maps-conv1", {"feature-maps", "weights"}), group_of("mine-x", set())
    ('feature-maps', 'mine')
    """
    ours = [name for name in visualisers if key == name or key.startswith(f"{name}-")]
    return max(ours, key=len, default=re.split(r"[-/]", key)[0])


def results_of(account: Account) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the results of the test: for the template, and for the page's scripts."""
    predictions, thumbnails = account.predictions, account.thumbnails
    if predictions is None or not len(predictions.labels):
        return {"result": None}, {}
    classes = results.class_names(account, predictions)
    counts = predictions.confusion
    calibration_bins = calibration(predictions.probabilities, predictions.labels)
    right, low, high = results.accuracy_interval(predictions)
    few = len(classes) <= results.LARGEST_TABLE
    result = {
        "part": PART_NAMES.get(predictions.part, predictions.part),
        "images": len(predictions.labels),
        "right": right,
        "accuracy": predictions.accuracy,
        "low": low,
        "high": high,
        "loss": loss_of(account, predictions),
        "classes": classes,
        "matrix": list(results.matrix_rows(counts)) if few else None,
        "calibration": calibration_bins,
        "per_class": per_class(predictions, classes),
        "thumbnails": thumbnails is not None,
    }
    data: dict[str, Any] = {
        "classes": classes,
        "cells": results.nonzero_cells(counts),
        "charts": {"reliability": results.reliability(calibration_bins)},
    }
    if thumbnails is not None:
        data["images"] = results.images(predictions, thumbnails)
        data["losses"] = results.highest_losses(predictions, thumbnails)
    return {"result": result}, data


def loss_of(account: Account, predictions: Predictions) -> float:
    """Returns the loss on the tested part: the one that is logged, else the cross-entropy."""
    by_epoch = dict(account.history.get(f"{predictions.part}/loss", ()))
    if account.best_epoch is not None and account.best_epoch in by_epoch:
        return by_epoch[account.best_epoch]
    return float(predictions.losses.mean())


def variants(account: Account) -> list[tuple[str, float, float | None, float | None]]:
    """Returns accuracy and its 95 % interval on each changed or other test part."""
    predictions = account.predictions
    count = 0
    if predictions is not None and predictions.part == "test":
        count = len(predictions.labels)
    rows = []
    for name, points in sorted(account.history.items()):
        part, _, metric = name.partition("/")
        if part.startswith("test-") and metric == "accuracy" and points:
            accuracy = points[-1][1]
            known = count and 0 <= accuracy <= 1
            ends = interval(round(accuracy * count), count) if known else (None, None)
            rows.append((part, accuracy, *ends))
    return rows


def settings(account: Account) -> dict[str, Mapping[str, str]]:
    """Returns the params, those that differ from their default apart."""
    params, defaults = account.params, account.defaults
    changed = {n: v for n, v in params.items() if n in defaults and defaults[n] != v}
    return {"changed": changed, "others": {n: v for n, v in params.items() if n not in changed}}
