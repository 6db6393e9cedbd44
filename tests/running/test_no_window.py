"""mlrun.train: between no two lines is there a moment in which a signal leaves a run RUNNING.

The lines of `mlrun.machine.interrupts` that a run without a signal comes by are tried too. Those of
the handler itself are not: it is only at work once a signal came.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest
from mlflow import MlflowClient
from runs import QUICK

import mlrun
from mlrun.machine import calls, interrupts
from mlrun.record import beginning, journal, opening, outbox, tracking, waiting
from mlrun.record.leftovers import send, unsent_runs
from mlrun.running import session, train

Line = tuple[str, int]
RECORD = (beginning, journal, opening, outbox, tracking, waiting)
FILES = {str(one.__file__) for one in (*RECORD, session, train, calls, interrupts)}
THREADS = ("MainThread", "mlrun-call")  # in the second the store is asked to open the run
BRIEF = {**QUICK, "subset": 100}


@pytest.fixture(autouse=True)
def default_handler() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.signal(signal.SIGINT, before) == signal.default_int_handler


class Lines:
    """The lines that are run in these files, from the opening of a run on; sends SIGINT at one.

    counts: how often each line was run, in the order of the first times.
    came: whether the signal was sent.
    """

    def __init__(self, files: set[str], at: Line | None = None, time: int = 1) -> None:
        self.counts: Counter[Line] = Counter()
        self.came = self._open = False
        self._files, self._at, self._time = files, at, time

    def train(self) -> None:
        threading.settrace(self._enter)
        sys.settrace(self._enter)
        try:
            mlrun.train(BRIEF)
        finally:
            sys.settrace(None)
            threading.settrace(None)  # type: ignore[arg-type]  # as it was

    def _enter(self, frame: FrameType, event: str, _: object) -> Any:
        code: CodeType = frame.f_code
        self._open = self._open or code.co_name == "run_session"
        if not (self._open and code.co_filename in self._files):
            return None
        return self._step if threading.current_thread().name in THREADS else None

    def _step(self, frame: FrameType, event: str, _: object) -> Any:
        line = frame.f_code.co_filename, frame.f_lineno
        if event == "line":
            self.counts[line] += 1
            if line == self._at and self.counts[line] == self._time and not self.came:
                self.came = True
                signal.raise_signal(signal.SIGINT)
        return self._step


def check_each(files: set[str], every: int) -> None:
    """Interrupts runs at these lines, by turns the first and the last time; looks at their ends."""
    undisturbed = Lines(files)
    undisturbed.train()
    counts = undisturbed.counts.items()
    times = [(line, most if place % 2 else 1) for place, (line, most) in enumerate(counts)]
    assert len(times) > 200
    known = {run.info.run_id for run in MlflowClient().search_runs(["0"])}
    ends = Counter[str]()
    missed = 0
    for line, time in times[::every]:
        lines, raised = Lines(files, line, time), False
        try:
            lines.train()
        except KeyboardInterrupt:  # mostly an Interrupted; behind the last line of `heeded` not
            raised = True
        place = f"{Path(line[0]).name}:{line[1]}, time {time}"
        assert raised == lines.came, place
        missed += not lines.came  # a wait took fewer rounds than in the undisturbed run
        for folder in unsent_runs():  # of a store that had no time
            send(folder, 60)
        for run in MlflowClient().search_runs(["0"]):
            if run.info.run_id not in known:
                known.add(run.info.run_id)
                ends[run.info.status] += 1
                assert run.info.status in ("KILLED", "FINISHED"), place
                assert not interrupts.count(), place
                assert run.data.tags["mlrun.status"] == run.info.status, place
                killed = run.info.status == "KILLED"
                assert ("mlrun.reason" in run.data.tags) == killed, place
    assert missed < len(times[::every]) / 5
    assert ends["KILLED"]
    assert ends["FINISHED"]


def test_a_signal_while_a_run_is_opened_and_ended_leaves_none_running(store: str) -> None:
    check_each(FILES, every=67)


@pytest.mark.slow
def test_a_signal_between_any_two_lines_leaves_none_running(store: str) -> None:
    check_each(FILES, every=1)
