"""Faults of limits that are too tight for a run: memory, and threads."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path

from mlflow import MlflowClient

from benchmarks.reliability.contents import contents, difference
from benchmarks.reliability.stage import LATE, MIDDLE, Outcome, Stage
from benchmarks.reliability.stores import Skipped

LONGEST = 120.0  # seconds for a run, after which OpenBLAS is taken to ask for memory for ever
USERS = itertools.count(100_000 + os.getpid())  # numbers of users that have no other process
TRUSTED = {  # git reads the checkout of another user
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "safe.directory",
    "GIT_CONFIG_VALUE_0": "*",
}


def memory_tight(stage: Stage) -> Outcome:
    """`ulimit -v`, from what a run just needs down to half of it: no run ends well with a gap."""
    uri = stage.sqlite()
    needed = address_space(stage, uri)
    shares = (1.02, 0.98, 0.95, 0.9, 0.8, 0.5)
    return limited(stage, [["prlimit", f"--as={int(share * needed)}"] for share in shares])


def address_space(stage: Stage, uri: str) -> int:
    """Returns the most bytes of address space that a run takes."""
    training = stage.train(uri)
    training.reach(MIDDLE)
    training.go_on(MIDDLE)
    training.reach(LATE)
    status = Path(f"/proc/{training.process.pid}/status").read_text()
    training.kill()
    (line,) = (line for line in status.splitlines() if line.startswith("VmPeak:"))
    return int(line.split()[1]) * 1024


def threads_tight(stage: Stage) -> Outcome:
    """`ulimit -u`, from 1 thread on: no run ends well with a gap."""
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        raise Skipped("no setpriv: apt-get install util-linux")
    as_another = ["setpriv", f"--reuid={next(USERS)}", "--inh-caps=+dac_override,+fowner"]
    as_another += ["--ambient-caps=+dac_override,+fowner"]
    before = as_another if os.geteuid() == 0 else []
    # a user of its own where we may choose one, else others' threads count
    return limited(stage, [[*before, "prlimit", f"--nproc={n}"] for n in (1, 2, 3, 4, 6, 8, 12)])


def limited(stage: Stage, befores: list[list[str]]) -> Outcome:
    """Starts a run under each limit; one that ends well must have left all, in store or journal."""
    wrong, said, codes = [], [], []
    for number, before in enumerate(befores):
        inner = Stage(stage.folder / str(number), stage.store, stage.undisturbed, stage.scale)
        uri = inner.sqlite()
        drawing = inner.folder / "matplotlib"
        drawing.mkdir()
        drawing.chmod(0o777)  # a run may be another user's
        training = inner.train(uri, before=before, MPLCONFIGDIR=str(drawing), **TRUSTED)
        training.go_on(MIDDLE, LATE)
        try:
            code = training.end(LONGEST)
        except subprocess.TimeoutExpired:  # OpenBLAS asks for memory for ever
            training.kill()
            code = -9
        lines = training.lines()
        last = lines[-1] if lines else "nothing"
        said.append(f"{before[-1]}: exit code {code}; {len(lines)} lines; {last}")
        codes.append(code)
        wrong += [f"{before[-1]}: {text}" for text in gaps(inner, uri, code, lines)]
    return Outcome(max(codes, default=-1), said, wrong=wrong)


def gaps(stage: Stage, uri: str, code: int, lines: list[str]) -> list[str]:
    """Returns what is wrong with a run under a limit."""
    runs = MlflowClient(uri).search_runs(["0"])
    if not runs:
        return [] if code else ["exit code 0, and there is no run"]
    (run,) = runs
    if code == 0 and run.info.status == "RUNNING" and any("mlrun sync" in line for line in lines):
        stage.sync(uri)
        run = MlflowClient(uri).get_run(run.info.run_id)
    if (code == 0) != (run.info.status == "FINISHED"):
        return [f"exit code {code}, and the run is {run.info.status}"]
    if code:  # a library that ends the process leaves the run as a kill would
        kept = any(stage.home.glob("runs/*/journal.jsonl"))
        by_blas = code == 130 and any("OpenBLAS" in line for line in lines)  # which sends SIGINT
        well = run.info.status == "FAILED" or by_blas or (run.info.status == "RUNNING" and kept)
        return [] if well else [f"the run is {run.info.status}"]
    assert stage.undisturbed is not None
    lost = difference(contents(uri, run.info.run_id), stage.undisturbed).lost
    lost = Counter(thing for thing in lost if not thing.startswith("tag mlflow.user"))
    named = any(line.startswith("Warning") for line in lines)  # pictures that were never made
    unnamed = [thing for thing in lost if thing.startswith(("metric", "param")) or not named]
    return [f"{len(unnamed)} lost: {unnamed[0]}"] if unnamed else []
