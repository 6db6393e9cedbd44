"""Events: the metrics, params, tags and artifacts that a run logs, in their order."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Kind = Literal[
    "metric", "param", "tag", "input", "look", "artifact", "removal", "model", "view", "end"
]
STATUS_TAG, REASON_TAG = "mlrun.status", "mlrun.reason"  # of the end of a run
WITH_FILES = ("artifact", "model")  # kinds of events whose value is a file or a folder


@dataclass(frozen=True)
class LoggedData:
    """One part of a data set as MLflow shows it among a run's inputs."""

    name: str
    digest: str
    source: str
    context: str
    profile: Mapping[str, object]


@dataclass(frozen=True)
class Event:
    """One logged item; sending it twice changes nothing in MLflow.

    kind: of what.
    name: the key; of an artifact, its path in the run, the same whenever it is sent.
    value: a number, a text, a part of a data set, an artifact's content: bytes, or a file of
        the same name; of the model, the folder that it is saved in; of a view, the pictures'
        keys as a JSON list; of the end, the status.
    step: of a metric, the epoch; in the section `step/`, the optimiser step.
    timestamp: when it happened, milliseconds since 1970.
    """

    kind: Kind
    name: str
    value: float | str | bytes | Path | LoggedData
    step: int = 0
    timestamp: int = field(default_factory=lambda: time.time_ns() // 1_000_000)


def end_tags(status: str, reason: str = "") -> dict[str, str]:
    """Returns the tags that say how a run ended, and why if there is a reason."""
    return {STATUS_TAG: status, **({REASON_TAG: reason} if reason else {})}


def as_record(event: Event) -> dict[str, Any]:
    """Returns an event as plain values; the value of one with a file is not among them."""
    value = asdict(event.value) if isinstance(event.value, LoggedData) else event.value
    record: dict[str, Any] = {"kind": event.kind, "name": event.name, "at": event.timestamp}
    if event.step:
        record["step"] = event.step
    if event.kind not in WITH_FILES:
        record["value"] = value
    return record


def as_event(record: dict[str, Any]) -> Event:
    """Returns the event that a record stands for; of one with a file, its path as a text."""
    value = record["value"]
    if record["kind"] == "input":
        value = LoggedData(**value)
    return Event(record["kind"], record["name"], value, record.get("step", 0), record["at"])
