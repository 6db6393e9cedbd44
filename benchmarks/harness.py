"""What the benchmarks share: rows of a table, bounds, a store of their own, processes."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("torch", "torchvision", "mlflow", "lightning")


@dataclass(frozen=True)
class Bench:
    """How the benchmarks are run.

    data: the folder that holds MNIST/raw.
    folder: for what is written, of which nothing stays.
    repetitions: of each measurement; a ratio is formed within each, and their median counts.
    quick: made-up data and next to no work, which only proves that everything runs.
    """

    data: Path
    folder: Path
    repetitions: int
    quick: bool


@dataclass(frozen=True)
class Row:
    """One figure: a value from each repetition, and the bound that their median is held to.

    least, most: the bounds, if it has any.
    unit: `×` of a ratio, `%` of a share, `ms`, or what else is measured.
    note: what else there is to say.
    """

    benchmark: str
    what: str
    values: Sequence[float]
    least: float | None = None
    most: float | None = None
    unit: str = "×"
    note: str = ""

    @property
    def median(self) -> float:
        """The median of the values."""
        return statistics.median(self.values)

    @property
    def met(self) -> bool | None:
        """Whether the median is within its bounds; None where there are none."""
        if self.least is None and self.most is None:
            return None
        low = self.least is None or self.median >= self.least
        return low and (self.most is None or self.median <= self.most)

    @property
    def bound(self) -> str:
        """The bounds as text."""
        texts = []
        if self.least is not None:
            texts.append(f"≥ {self.least:g} {self.unit}")
        if self.most is not None:
            texts.append(f"≤ {self.most:g} {self.unit}")
        return ", ".join(texts)

    def cells(self) -> tuple[str, ...]:
        """Returns the row of the table."""
        spread = f"{min(self.values):.3g}–{max(self.values):.3g}"
        state = {True: "met", False: "MISSED", None: ""}[self.met]
        median = f"{self.median:.3g} {self.unit}"
        return self.benchmark, self.what, median, spread, self.bound, state, self.note


HEADER = ("benchmark", "what", "median", "spread", "bound", "", "")


def table(rows: Sequence[Row]) -> str:
    """Returns the rows as a table of text, which Markdown shows as one too."""
    cells = [HEADER, *(row.cells() for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(HEADER))]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def missed(rows: Sequence[Row]) -> list[Row]:
    """Returns the rows whose bound does not hold."""
    return [row for row in rows if row.met is False]


def machine() -> dict[str, str]:
    """Returns what the figures are measured on."""
    found = {name: installed(name) for name in PACKAGES}
    return {
        "measured": datetime.now(UTC).strftime("%Y-%m-%d"),
        "processor": processor(),
        "cores": str(os.cpu_count()),
        "python": platform.python_version(),
        **{name: text for name, text in found.items() if text},
    }


def processor() -> str:
    """Returns the processor's name."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def installed(name: str) -> str:
    """Returns the version of a package, or nothing."""
    try:
        return version(name)
    except ModuleNotFoundError:  # PackageNotFoundError is one
        return ""


def as_json(rows: Sequence[Row], bench: Bench) -> str:
    """Returns the rows and the machine as JSON."""
    told = [{**asdict(row), "median": row.median, "met": row.met} for row in rows]
    head = {"machine": machine(), "repetitions": bench.repetitions, "quick": bench.quick}
    return json.dumps({**head, "rows": told}, indent=2, ensure_ascii=False)


@contextmanager
def own_store(bench: Bench) -> Iterator[dict[str, str]]:
    """Makes a store whose tables are there; it is in use, and the working directory is its folder.

    Yields the environment for processes that are to use it.
    """
    before, old = Path.cwd(), dict(os.environ)
    with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        os.environ["MLRUN_HOME"] = str(Path(folder, "state"))
        os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), old.get("PYTHONPATH", "")])
        os.chdir(folder)
        try:
            copy_store(bench, Path(folder))
            yield dict(os.environ)
        finally:
            os.chdir(before)
            os.environ.clear()
            os.environ.update(old)


def copy_store(bench: Bench, folder: Path) -> None:
    """Puts an empty store into `folder`; its tables are made once, which takes seconds."""
    made = bench.folder / "empty.db"
    if not made.exists():
        code = f"import mlflow; mlflow.MlflowClient('sqlite:///{made}').search_experiments()"
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    shutil.copy(made, folder / "mlflow.db")
    with sqlite3.connect(folder / "mlflow.db") as database:
        place = str(folder / "mlruns/0")
        database.execute("UPDATE experiments SET artifact_location = ?", [place])
    database.close()


def seconds_of(command: Sequence[str], environment: Mapping[str, str] | None = None) -> float:
    """Returns how long a process takes, from its start to its end.

    Raises:
        RuntimeError: it failed; the message has its last lines.
    """
    started = time.perf_counter()
    output_of(command, environment)
    return time.perf_counter() - started


def output_of(command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """Returns what a process printed; raises RuntimeError where it failed."""
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr[-2000:]}")
    return done.stdout


def peer(name: str, *arguments: object) -> dict[str, Any]:
    """Runs a program of `benchmarks.peers`; returns what it measured, and the `process`'s time.

    The program's arguments are its own; its last line on stdout is JSON.
    """
    command = [sys.executable, "-m", f"benchmarks.peers.{name}", *map(str, arguments)]
    started = time.perf_counter()
    last = output_of(command).strip().splitlines()[-1]
    found: dict[str, Any] = json.loads(last)
    return {**found, "process": time.perf_counter() - started}
