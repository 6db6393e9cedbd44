"""What processes tell each other, where a signal comes while rank 0 waits for another."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from several import ended

SCRIPT = """
import os, signal, sys, threading, time
from mlrun.errors import MlrunError
from mlrun.machine.interrupts import Interrupted, heeded
from mlrun.machine.place import place_here
from mlrun.running.together import joined

def tell():
    try:
        with group.telling(2.0):
            group.share("never")
    except Interrupted:
        try:
            group.tell(5.0)
        except MlrunError as error:
            print(error)

def be_told():
    print(f"told {group.hear()[0]:g}")
    try:
        group.share("")
    except RuntimeError:
        print("rank 0 left")

def share():
    try:
        group.share("one")
    except Interrupted:
        print("another", group.share("another"))

def be_given():
    print([group.share(""), group.share("")])

with heeded(), joined(place_here()) as group:
    if group.rank:
        time.sleep(1.5)
        {"telling": be_told, "share": be_given}[sys.argv[1]]()
    else:
        threading.Timer(0.5, os.kill, [os.getpid(), signal.SIGTERM]).start()
        {"telling": tell, "share": share}[sys.argv[1]]()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "told"),
    [
        (
            "telling",
            [
                "rank 0 left",
                "the other processes were left in the middle of what they do with it",
                "told 2",
            ],
        ),
        ("share", ["['one', 'another']", "another another"]),
    ],
)
def test_a_signal_leaves_no_other_process_with_half_of_what_it_is_told(
    tmp_path: Path, what: str, told: list[str]
) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = ended([*start, str(script), what], 0, {})
    assert sorted(done.stdout.splitlines()) == told
