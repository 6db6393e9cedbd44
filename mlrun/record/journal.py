"""The journal of a run: every event on disk, and which of them the store has."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath

from filelock import FileLock, Timeout

from mlrun.errors import MlrunError
from mlrun.record.events import REASON_TAG, STATUS_TAG, WITH_FILES, Event, as_event, as_record
from mlrun.record.folders import remove
from mlrun.record.journal_files import (
    ANSWERS,
    EVENTS,
    FILES,
    FORMAT,
    LOCK,
    Header,
    answers_in,
    header_of,
    no_journal,
    spans,
)
from mlrun.record.lines import Lines, Record, read_lines
from mlrun.training.checkpoint_files import STATES

ENDS = (("end", "status"), ("tag", STATUS_TAG), ("tag", REASON_TAG))  # of a run's end
GLANCE = 0.5  # seconds: who looks whether the lock is held has it for an instant


class InUse(MlrunError):
    """Another process writes a run's journal, as while the run lasts."""


@dataclass(frozen=True)
class Entry:
    """An event and its number in the journal."""

    number: int
    event: Event


class Journal:
    """The events of one run in a folder of its own, and what the store answered to each.

    An event is on disk before anything else knows of it. Its files lie beside it, as they are
    now, until the store has them. One process writes a journal at a time.

    Args:
        folder: of the run; made if need be.
        header: of a new journal; None opens one that is there.

    Attributes:
        folder, header: as given, or as it is there.
        refused: by an event's number its name, and why the store will never take it.
        taken: how many events the store took since the journal was opened.
        ended: the status that the store has the run ended with, as far as the journal was read;
            empty where it has not, or the run was taken up again since.
        damaged: lines that are not as they were written; those events cannot be known.

    Raises:
        MlrunError: there is no journal, or it is none that this version reads.
        OSError: it cannot be written.
    """

    def __init__(self, folder: Path, header: Header | None = None) -> None:
        self.folder = folder
        self.damaged = self.taken = 0
        self.ended = ""
        self._open: set[int] = set()  # read and not answered
        self._cursor, self._next = 0, 0
        if header is not None:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        elif not (folder / EVENTS).is_file():
            raise no_journal(folder)
        self._lock = FileLock(folder / LOCK, thread_local=False)  # one opens it, another closes it
        try:
            self._lock.acquire(timeout=GLANCE)
        except FileNotFoundError:  # the folder was deleted meanwhile
            raise no_journal(folder) from None
        except Timeout:
            raise InUse(f"{folder}: another process writes this run's journal") from None
        if header is None and not (folder / EVENTS).is_file():  # deleted by whoever had the lock
            self._lock.release()
            raise no_journal(folder)
        self._events = Lines(folder / EVENTS)
        self._answers = Lines(folder / ANSWERS)
        if header is not None and not len(self._events):
            self._events.add({"format": FORMAT, **asdict(header)})
        self.header = header_of(folder)
        self._sent, self.refused = answers_in(folder)

    def append(self, event: Event) -> int:
        """Writes an event, and the file that it logs, as it is now; returns the event's number.

        Raises:
            OSError: it could not be written, because the disk is full, say.
        """
        if event.kind not in WITH_FILES:
            return self._events.add(as_record(event))
        # the file first, so that a line never names what is not there
        assert isinstance(event.value, bytes | Path)
        kept = self._keep(PurePosixPath(event.name).name, event.value)
        place = kept.relative_to(self.folder).as_posix()
        return self._events.add({**as_record(event), "value": place})

    def take_up(self) -> None:
        """Begins to write on behind the end of a run, which then is none.

        What was not sent of that end never will be.
        """
        void = [
            number
            for number, (record, _) in enumerate(read_lines(self._events.path))
            if record is not None and (record.get("kind"), record.get("name")) in ENDS
        ]
        self._answers.add({"sent": spans(void)})
        self._sent.update(void)
        self._events.add({"resumed": time.time_ns() // 1_000_000})
        self.ended = ""

    def new_folder(self) -> Path:
        """Returns a new folder beside the events, for one file."""
        files = self.folder / FILES
        files.mkdir(exist_ok=True)
        return Path(tempfile.mkdtemp(prefix="", dir=files))

    def unread(self, most: int) -> list[Entry]:
        """Returns the next events that were not read and not answered, at most so many."""
        entries: list[Entry] = []
        for record, end in read_lines(self._events.path, self._cursor):
            self._cursor = end
            number = self._next
            if record is None:
                self.damaged += 1
            elif "kind" in record and number not in self._sent and number not in self.refused:
                entries.append(Entry(number, self._event(record)))
                self._open.add(number)
            elif record.get("kind") == "end":
                self.ended = str(record["value"])
            elif "resumed" in record:
                self.ended = ""
            self._next += 1  # last, so that `left` is never too small
            if len(entries) == most:
                break
        return entries

    def acknowledge(self, entries: Collection[Entry]) -> None:
        """Notes that the store has these events, and deletes their files."""
        numbers = sorted(entry.number for entry in entries)
        noted = True
        try:
            self._answers.add({"sent": spans(numbers)})
        except OSError:  # of a full disk: they will be sent again, files and all
            noted = False
        self._sent.update(numbers)
        self._open.difference_update(numbers)
        self.taken += len(numbers)
        for entry in entries:
            if entry.event.kind == "end":
                self.ended = str(entry.event.value)
            if noted and entry.event.kind in WITH_FILES:
                shutil.rmtree(Path(str(entry.event.value)).parent, ignore_errors=True)

    def refuse(self, entry: Entry, reason: str) -> None:
        """Notes that the store will never take this event; its file stays."""
        number, name = entry.number, entry.event.name
        with suppress(OSError):
            self._answers.add({"refused": number, "name": name, "reason": reason})
        self.refused[number] = name, reason
        self._open.discard(number)

    def awaits(self, entries: Collection[Entry]) -> bool:
        """Whether events that were read have no answer yet."""
        return any(entry.number in self._open for entry in entries)

    def left(self) -> int:
        """How many events have no answer yet."""
        return len(self._events) - self._next + len(self._open)

    def sync(self) -> None:
        """Has the machine write to its disk what is new."""
        self._events.sync()
        self._answers.sync()

    def settle(self) -> None:
        """Closes the journal, and deletes of the folder what nobody will ask for again.

        All of it where the store has everything; all but the journal where it refused something;
        nothing where something is left to send, or the run did not come to its end and can be
        resumed.
        """
        self._events.close()
        self._answers.close()
        try:
            self._delete()  # while nobody can open it
        finally:
            self._lock.release()

    def _delete(self) -> None:
        """Deletes of the folder what nobody will ask for again."""
        if self.left() or not self.ended:
            return
        if self.ended != "FINISHED" and any((self.folder / name).exists() for name in STATES):
            return
        if not self.refused and not self.damaged:
            remove(self.folder)
            return
        for path in self.folder.iterdir():
            if path.name not in (EVENTS, ANSWERS, FILES):
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def _keep(self, name: str, content: bytes | Path) -> Path:
        """Puts a file by, as it is now, under `name` in a folder of its own; returns its path."""
        if isinstance(content, Path) and content.is_relative_to(self.folder / FILES):
            return content
        kept = self.new_folder() / name
        try:
            if isinstance(content, bytes):
                kept.write_bytes(content)
            else:
                link_or_copy(content, kept)
        except OSError:
            shutil.rmtree(kept.parent, ignore_errors=True)
            raise
        return kept

    def _event(self, record: Record) -> Event:
        event = as_event(record)
        if event.kind in WITH_FILES:
            return replace(event, value=self.folder / str(event.value))
        return event


def link_or_copy(source: Path, target: Path) -> None:
    """Makes `target` the file that `source` is now: a link where the file system has them.

    Files of a run are replaced and never changed, so that a link keeps what it was made of.
    """
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
