"""The journal of a run: what was written is read back, whatever happened to the file."""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from mlrun.errors import MlrunError
from mlrun.record.events import Event, LoggedData
from mlrun.record.journal import Journal
from mlrun.record.journal_files import EVENTS, Header
from mlrun.record.lines import Lines, read_lines

HEADER = Header("r" * 32, "0", "naïve · 猫", "sqlite:////srv/mlflow.db", 1_700_000_000_000)
DATA = LoggedData("digits train", "sha256:0", "sklearn", "training", {"examples": 3})


def reopened(journal: Journal) -> Journal:
    journal.settle()
    return Journal(journal.folder)


@pytest.mark.parametrize(
    "event",
    [
        Event("metric", "val/loss", 0.1 + 0.2, 7, 5),
        Event("metric", "m", math.inf, 0, 5),
        Event("param", "lr", "1e-3", 0, 5),
        Event("tag", "note", "two\nlines ✓", 0, 5),
        Event("input", DATA.name, DATA, 0, 5),
        Event("look", "mlflow.runColor", "", 0, 5),
        Event("end", "status", "FINISHED", 0, 5),
    ],
)
def test_an_event_is_read_back_as_it_was(tmp_path: Path, event: Event) -> None:
    journal = Journal(tmp_path / "run", HEADER)
    journal.append(event)
    again = reopened(journal)
    assert again.header == HEADER
    assert [entry.event for entry in again.unread(9)] == [event]
    assert again.unread(9) == []


def test_a_file_is_kept_as_it_was_when_it_was_logged(tmp_path: Path) -> None:
    journal, path = Journal(tmp_path / "run", HEADER), tmp_path / "last.pt"
    for content in (b"old", b"new"):
        written = tmp_path / "last.tmp"
        written.write_bytes(content)
        written.replace(path)  # as checkpoints are
        journal.append(Event("artifact", "checkpoints/last.pt", path))
    path.unlink()
    files = [Path(str(entry.event.value)) for entry in reopened(journal).unread(9)]
    assert [(file.name, file.read_bytes()) for file in files] == [
        ("last.pt", b"old"),
        ("last.pt", b"new"),
    ]


def test_not_a_number_is_one_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run", HEADER)
    journal.append(Event("metric", "m", math.nan))
    (entry,) = reopened(journal).unread(9)
    assert isinstance(entry.event.value, float)
    assert math.isnan(entry.event.value)


@pytest.mark.parametrize("cut", [2, 20, 60])
def test_a_line_that_was_cut_costs_itself_alone(tmp_path: Path, cut: int) -> None:
    journal = Journal(tmp_path / "run", HEADER)
    for name in "ab":
        journal.append(Event("metric", name, 1.0))
    journal.settle()
    path = journal.folder / EVENTS
    path.write_bytes(path.read_bytes()[:-cut])
    again = Journal(journal.folder)
    again.append(Event("metric", "c", 1.0))
    assert [entry.event.name for entry in again.unread(9)] == ["a", "c"]
    assert again.left() == 2
    assert again.damaged == 1


def test_a_byte_that_flipped_is_noticed(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run", HEADER)
    for name in "abc":
        journal.append(Event("metric", name, 1.0))
    journal.settle()
    path = journal.folder / EVENTS
    path.write_bytes(path.read_bytes().replace(b'"name":"b"', b'"name":"x"'))
    again = Journal(journal.folder)
    assert [entry.event.name for entry in again.unread(9)] == ["a", "c"]
    assert again.damaged == 1


def test_answers_last(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run", HEADER)
    for name in "abcd":
        journal.append(Event("artifact", name, name.encode()))
    a, b, c, _ = journal.unread(9)
    journal.acknowledge([a, c])
    journal.refuse(b, "bad name")
    assert journal.left() == 1
    again = reopened(journal)
    assert [entry.event.name for entry in again.unread(9)] == ["d"]
    assert again.left() == 1
    assert again.refused == {2: ("b", "bad name")}
    kept = sorted(path.name for path in (journal.folder / "files").glob("*/*"))
    assert kept == ["b", "d"]


@pytest.mark.parametrize(
    ("end", "refused", "left"),
    [
        (True, False, []),
        (True, True, ["answers.jsonl", "files", "journal.jsonl"]),
        (False, False, ["answers.jsonl", "files", "journal.jsonl", "last.pt", "lock"]),
    ],
)
def test_settling_deletes_what_nobody_will_ask_for(
    tmp_path: Path, end: bool, refused: bool, left: list[str]
) -> None:
    journal = Journal(tmp_path / "run", HEADER)
    (journal.folder / "last.pt").write_bytes(b"")
    journal.append(Event("artifact", "x", b""))
    if end:
        journal.append(Event("end", "status", "FINISHED"))
    first, *rest = journal.unread(9)
    if refused:
        journal.refuse(first, "too large")
    journal.acknowledge(rest if refused else [first, *rest])
    journal.settle()
    found = sorted(path.name for path in journal.folder.glob("*"))
    assert found == left


def test_one_process_writes_a_journal_at_a_time(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run", HEADER)
    with pytest.raises(MlrunError, match="another process writes this run's journal"):
        Journal(journal.folder)


def test_who_waits_for_a_journal_that_is_deleted_does_not_make_it_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run", HEADER)
    journal.append(Event("end", "status", "FINISHED", 0, 5))
    journal.acknowledge(journal.unread(9))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(Journal, tmp_path / "run")
        time.sleep(0.1)
        journal.settle()
        with pytest.raises(MlrunError):
            waiting.result()
    assert not (tmp_path / "run").exists()


def test_what_is_no_journal_is_said(tmp_path: Path) -> None:
    with pytest.raises(MlrunError, match="there is no journal of a run"):
        Journal(tmp_path)
    lines = Lines(tmp_path / EVENTS)
    lines.add({"format": 99, "run_id": "x"})
    with pytest.raises(MlrunError, match="no journal that this version of mlrun reads"):
        Journal(tmp_path)


def test_a_record_that_does_not_fit_leaves_the_lines_whole(tmp_path: Path) -> None:
    import resource

    lines = Lines(tmp_path / "x.jsonl")
    lines.add({"a": 1})
    size = (tmp_path / "x.jsonl").stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 30, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            lines.add({"b": "x" * 100})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    lines.add({"c": 1})
    assert [record for record, _ in read_lines(tmp_path / "x.jsonl")] == [{"a": 1}, {"c": 1}]


def test_a_header_names_no_password(tmp_path: Path) -> None:
    from mlrun.record.store import public

    address = public("postgresql://ann:secret@db.example/mlflow?password=secret")
    journal = Journal(tmp_path / "run", replace(HEADER, address=address))
    text = (journal.folder / EVENTS).read_text()
    assert "secret" not in text
    assert "ann" not in text


def test_what_comes_after_the_end_is_an_error_and_goes_nowhere_else(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "x.jsonl")
    lines.close()
    other = tmp_path / "other"
    with other.open("wb"):  # has the number that the closed file had
        with pytest.raises(OSError, match="Bad file descriptor"):
            lines.add({"a": 1})
        lines.sync()
    assert other.read_bytes() == (tmp_path / "x.jsonl").read_bytes() == b""


def test_a_file_whose_answer_cannot_be_noted_stays_to_be_sent_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run", HEADER)
    journal.append(Event("artifact", "folder/x.txt", b"content"))
    entries = journal.unread(9)
    journal.settle()  # so that nothing can be written, as on a full disk
    journal.acknowledge(entries)
    (again,) = Journal(journal.folder).unread(9)
    assert Path(str(again.event.value)).read_bytes() == b"content"
