"""The files of a journal: their names, what it is of, and what the store answered."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlrun.errors import MlrunError
from mlrun.record.lines import read_lines

EVENTS, ANSWERS, FILES, LOCK = "journal.jsonl", "answers.jsonl", "files", "lock"
FORMAT = 1  # of the files; a later mlrun that changes them counts on


@dataclass(frozen=True)
class Header:
    """What a journal is of.

    run_id, experiment_id, name: the run in MLflow.
    address: of its tracking store, without user and password.
    started: when the run started, milliseconds since 1970.
    """

    run_id: str
    experiment_id: str
    name: str
    address: str
    started: int


def header_for(run: Any, address: str) -> Header:
    """Returns the header of the journal of MLflow's `run`, in the store at a public address."""
    info = run.info
    return Header(info.run_id, info.experiment_id, info.run_name, address, info.start_time)


def no_journal(folder: Path) -> MlrunError:
    """Returns the error for a folder without a journal."""
    return MlrunError(f"{folder}: there is no journal of a run")


def header_of(folder: Path) -> Header:
    """Returns what the journal in a run's folder is of; raises MlrunError if it cannot be read."""
    first, _ = next(read_lines(folder / EVENTS), (None, 0))
    if first is None or first.get("format") != FORMAT:
        raise MlrunError(f"{folder / EVENTS}: no journal that this version of mlrun reads")
    return Header(**{name: value for name, value in first.items() if name != "format"})


def answers_in(folder: Path) -> tuple[set[int], dict[int, tuple[str, str]]]:
    """Returns what the store answered to a journal's events, by their numbers.

    They are those that it has, and of those that it will never take name and reason.
    """
    sent: set[int] = set()
    refused: dict[int, tuple[str, str]] = {}
    for record, _ in read_lines(folder / ANSWERS):
        if record is None:
            continue  # what it acknowledged is sent again, which changes nothing
        if "refused" in record:
            refused[record["refused"]] = record["name"], record["reason"]
        for first, last in record.get("sent", ()):
            sent.update(range(first, last + 1))
    return sent, refused


def spans(numbers: Collection[int]) -> list[list[int]]:
    """Returns ascending numbers as first and last of each gapless span.

    >>> spans([1, 2, 3, 7])
    [[1, 3], [7, 7]]
    """
    gapless: list[list[int]] = []
    for number in numbers:
        if gapless and gapless[-1][1] == number - 1:
            gapless[-1][1] = number
        else:
            gapless.append([number, number])
    return gapless
