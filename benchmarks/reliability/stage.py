"""Where a fault is tried: a folder with a state of its own, runs in it, and what became of them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.harness import ROOT
from benchmarks.reliability.contents import Contents, contents, difference
from benchmarks.reliability.held_model import STEPS
from benchmarks.reliability.stores import put_store

MIDDLE, LATE = STEPS
LATE_EPOCH = 36  # the last step of the last whole epoch before LATE
PATIENCE = 300.0  # seconds that anything may take; a machine may be busy
OPTIONS = [
    *("--plugin", str(Path(__file__).with_name("held_model.py")), "--model", "held"),
    *("--subset", "320", "--validation", "last:32", "--epochs", "6", "--log-every", "1"),
    *("--threads", "1", "--device", "cpu", "--quiet"),
]


@dataclass(frozen=True)
class Scale:
    """How long faults last, and how long runs wait.

    seconds: what a second of an outage is taken for: 1, or less in a short form.
    sync_wait: seconds, the setting of the runs that end during an outage.
    """

    seconds: float = 1.0
    sync_wait: float = 60.0


@dataclass(frozen=True)
class Outcome:
    """What became of a run.

    lost, doubled: what is in the store less often, or more often, than of an undisturbed run.
    said: the lines of the run on stderr, in order.
    code: its exit code.
    wrong: what is not as it should be, in words; empty where all is.
    """

    code: int
    said: Sequence[str] = ()
    lost: Counter[str] = field(default_factory=Counter)
    doubled: Counter[str] = field(default_factory=Counter)
    wrong: Sequence[str] = ()


class Training:
    """A run of `mlrun train` in a process of its own, which stops at gates."""

    def __init__(
        self, stage: Stage, command: Sequence[str], environment: Mapping[str, str]
    ) -> None:
        self.stage, self.gates = stage, Path(environment["MLRUN_GATES"])
        number = len(stage.runs)
        self.stdout, self.stderr = stage.folder / f"out-{number}", stage.folder / f"err-{number}"
        self.started = time.monotonic()
        with self.stdout.open("wb") as out, self.stderr.open("wb") as err:
            self.process = subprocess.Popen(
                command,
                cwd=stage.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def reach(self, step: int) -> str:
        """Waits until the gate before a step is reached, and the store has something of the run.

        Returns the run's id.

        Raises:
            RuntimeError: the run ended before.
        """
        self.stage.wait_for(lambda: self._is_at(step))
        answers = next((self.stage.home / "runs").glob("*/answers.jsonl"))
        if step == MIDDLE:
            self.stage.wait_for(lambda: answers.stat().st_size > 0)
        return answers.parent.name

    def go_on(self, *steps: int) -> None:
        """Opens the gates before these steps."""
        for step in steps:
            (self.gates / f"{step}.open").touch()

    def end(self, longest: float = PATIENCE) -> int:
        """Opens all gates, waits for the end of the process, and returns its exit code."""
        self.go_on(*STEPS)
        return self.process.wait(longest)

    def kill(self) -> None:
        """Kills the process, if it is still there."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, 9)
        self.process.wait(30)

    def is_over(self) -> bool:
        """Whether the process has ended."""
        return self.process.poll() is not None

    def lines(self) -> list[str]:
        """Returns what was said on stderr until now."""
        text = self.stderr.read_text(errors="replace")
        return [line for line in text.splitlines() if line.strip()]

    def _is_at(self, step: int) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"the run ended before step {step}: {self.lines()[-5:]}")
        return (self.gates / f"{step}.reached").exists()


class Stage:
    """A folder in which one fault is tried.

    Args:
        folder: new.
        store: an empty SQLite store, to be copied.
        undisturbed: what a run leaves in a store when nothing happens.
        scale: of times.
    """

    def __init__(
        self, folder: Path, store: Path, undisturbed: Contents | None, scale: Scale
    ) -> None:
        self.folder, self.store, self.scale = folder, store, scale
        self.undisturbed = undisturbed
        self.home, self.gates = folder / "home", folder / "gates"
        self.gates.mkdir(parents=True)
        self.runs: list[Training] = []

    def environment(self, uri: str, home: Path | None = None) -> dict[str, str]:
        """Returns the environment of processes that use the store at `uri`."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "MLRUN_"))}
        return {
            **kept,
            "MLFLOW_TRACKING_URI": uri,
            "MLRUN_HOME": str(home or self.home),
            "MLRUN_GATES": str(self.gates),
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        }

    def sqlite(self, folder: Path | None = None) -> str:
        """Puts an empty store into the stage, or a folder of it; returns its address."""
        place = folder or self.folder
        put_store(self.store, place / "mlflow.db", str(self.folder / "mlruns/0"))
        return f"sqlite:///{place}/mlflow.db"

    def train(
        self, uri: str, *options: str, before: Sequence[str] = (), **variables: str
    ) -> Training:
        """Starts a run that logs to the store at `uri`; `before` are the words before `python`."""
        command = [*before, sys.executable, "-m", "mlrun", "train", *OPTIONS, *options]
        return self.start(command, {**self.environment(uri), **variables})

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> Training:
        """Starts a process with runs in it."""
        training = Training(self, command, environment)
        self.runs.append(training)
        return training

    def sync(self, uri: str, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Runs `mlrun sync`."""
        return subprocess.run(
            [sys.executable, "-m", "mlrun", "sync", *options],
            cwd=self.folder,
            env={**self.environment(uri), **variables},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    def sleep(self, seconds: float) -> None:
        """Lets a fault last so many seconds, fewer in a short form."""
        time.sleep(seconds * self.scale.seconds)

    def wait_for(self, condition: object) -> None:
        """Waits until a condition, a function without arguments, is true; RuntimeError if not."""
        assert callable(condition)
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                raise RuntimeError(f"waited {PATIENCE:.0f} s in vain")
            time.sleep(0.1)

    def outcome(
        self, training: Training, uri: str, run_id: str, code: int, status: str = "FINISHED"
    ) -> Outcome:
        """Compares what the store at `uri` has of an ended run with what it should have."""
        found = contents(uri, run_id)
        wrong = [] if code == 0 else [f"exit code {code}"]
        if found.status != f"{status} with an end":
            wrong.append(found.status)
        if (self.home / "runs" / run_id).exists():
            wrong.append("its journal is still there")
        if self.undisturbed is None:
            return Outcome(code, training.lines(), wrong=wrong)
        differ = difference(found, self.undisturbed)
        if differ.lost or differ.extra:
            (self.folder / "difference.json").write_text(differ.as_text(), encoding="utf-8")
        return Outcome(code, without_links(training.lines()), differ.lost, differ.extra, wrong)

    def synced(
        self, training: Training, uri: str, run_id: str, code: int, used: str = "", **variables: str
    ) -> Outcome:
        """Sends what is left of an ended run with `mlrun sync`, and compares.

        Args:
            training, uri, run_id, code: as `outcome` takes them.
            used: the address that `mlrun sync` is given, if it is another.
            variables: of its environment.
        """
        left = (self.home / "runs" / run_id).exists()
        done = self.sync(used or uri, **variables)
        outcome = self.outcome(training, uri, run_id, code)
        wrong = list(outcome.wrong)
        if not left:
            wrong.append("nothing was left to send")
        if done.returncode:
            wrong.append(f"mlrun sync: {done.returncode}: {done.stdout}{done.stderr}")
        said = [*outcome.said, *(f"(sync) {line}" for line in done.stdout.splitlines())]
        return replace(outcome, said=said, wrong=wrong)

    def close(self) -> None:
        """Kills what is left of the runs."""
        for training in self.runs:
            training.kill()


def without_links(lines: Sequence[str]) -> list[str]:
    """Returns lines without those that every run says."""
    usual = ("this run:", "its report:", "all runs:", "start MLflow's UI")
    return [line for line in lines if not re.match("|".join(usual), line)]
