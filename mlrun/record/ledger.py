"""What a run's journal says, read without opening it: what is unsent, and how the run ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlrun.errors import MlrunError, one_line
from mlrun.record.events import Kind
from mlrun.record.journal_files import ANSWERS, EVENTS, Header, answers_in, header_of
from mlrun.record.lines import Record, read_lines


@dataclass(frozen=True)
class Ledger:
    """A journal at one moment; who writes it may be at work.

    run: what it is of.
    unsent: how many events the store has not answered to.
    refused: why the store will never take some, by their names.
    damaged: lines that are not as they were written; those events cannot be known.
    end: the status that it records as the run's end; empty where it records none, or the run
        was taken up again since.
    end_sent: whether the store has that.
    last: when it was last written to, milliseconds since 1970.
    """

    run: Header
    unsent: int
    refused: Mapping[str, str]
    damaged: int
    end: str
    end_sent: bool
    last: int

    @property
    def waits(self) -> str:
        """The status of an end that the store does not have yet; empty without one."""
        return "" if self.end_sent else self.end


def ledger_of(folder: Path) -> Ledger:
    """Returns what the journal in a run's folder says.

    Raises:
        MlrunError: there is none, or it cannot be read.
    """
    try:
        run = header_of(folder)
        sent, refused = answers_in(folder) if (folder / ANSWERS).exists() else (set(), {})
        unsent = damaged = 0
        end, end_sent = "", False
        for number, (record, _) in enumerate(read_lines(folder / EVENTS)):
            damaged += record is None
            if record is not None and "resumed" in record:
                end, end_sent = "", False
            if record is None or "kind" not in record:
                continue
            unsent += number not in sent and number not in refused
            if record["kind"] == "end":
                end, end_sent = record["value"], number in sent
        last = (folder / EVENTS).stat().st_mtime_ns // 1_000_000
    except (OSError, LookupError, TypeError, ValueError) as error:
        raise MlrunError(f"{folder / EVENTS}: cannot be read ({one_line(error)})") from None
    return Ledger(run, unsent, dict(refused.values()), damaged, end, end_sent, last)


def recorded(folder: Path, kind: Kind, name: str) -> Iterator[Record]:
    """Yields the records of one kind and name in a run's journal, in order; none without one."""
    if (folder / EVENTS).is_file():
        for record, _ in read_lines(folder / EVENTS):
            if record is not None and (record.get("kind"), record.get("name")) == (kind, name):
                yield record


def unsent_file(folder: Path, name: str) -> Path | None:
    """Returns the artifact of that name that a run's journal has and the store may not, if any."""
    paths = [folder / str(record["value"]) for record in recorded(folder, "artifact", name)]
    return next((path for path in reversed(paths) if path.is_file()), None)


def rows_in(folder: Path) -> set[tuple[str, int]]:
    """Returns name and step of each metric in a run's journal."""
    records = (record for record, _ in read_lines(folder / EVENTS) if record is not None)
    return {(r["name"], r.get("step", 0)) for r in records if r.get("kind") == "metric"}
