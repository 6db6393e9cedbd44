"""Progress of a run on stderr: a bar on a terminal, one line an epoch elsewhere."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import mlrun
from mlrun.cli.streams import make_lossy
from mlrun.cli.terminal import echo, printable
from mlrun.settings import Settings

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from mlrun.training.state import TrainingState
    from mlrun.training.tally import Tally

REFRESH = 0.5  # seconds between two looks at the loss, which make the device wait


class Lines:
    """Plain lines on stderr; with `quiet`, none at all."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self.epochs = 0

    def note(self, text: str) -> None:
        """Prints one line."""
        if not self.quiet:
            echo(text, err=True)

    def warn(self, text: str) -> None:
        """Prints a warning, also with `quiet`."""
        echo(f"Warning: {text}", err=True)

    def greet(self, settings: Settings) -> None:
        """Prints version and path of mlrun, model and data set, before the slow imports."""
        core = Path(mlrun.__file__).parent
        self.note(f"mlrun {mlrun.__version__} ({core}): {settings.model} on {settings.dataset}")

    def start(self, steps: int, steps_an_epoch: int, examples: int) -> None:
        """Prints the number of epochs, steps and examples."""
        self.epochs = -(-steps // steps_an_epoch)
        cut_short = f"; {counted(steps, 'step')} in all" if steps % steps_an_epoch else ""
        self.note(
            f"{counted(self.epochs, 'epoch')} of {counted(steps_an_epoch, 'step')}, "
            f"{counted(examples, 'example')}{cut_short}"
        )

    def step(self, state: TrainingState, tally: Tally) -> None:
        """Does nothing."""

    def epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Prints the epoch's figures."""
        self.note(epoch_line(epoch, self.epochs, metrics))

    def finish(self) -> None:
        """Does nothing."""

    def links(self, run: str, comparison: str, report: str) -> None:
        """Prints the links to MLflow; `report` may be empty."""
        if run.startswith("http://127.0.0.1:5000/") and not served():
            self.note("start MLflow's UI with: mlrun ui")
        self.note(f"this run:   {run}")
        if report:
            self.note(f"its report: {report}")
        self.note(f"all runs:   {comparison}")


class Terminal(Lines):
    """A bar with epoch, loss, accuracy, examples a second and time left."""

    def __init__(self) -> None:
        super().__init__(quiet=False)
        self.bar: Bar | None = None

    def start(self, steps: int, steps_an_epoch: int, examples: int) -> None:
        """Shows the bar."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.epochs = -(-steps // steps_an_epoch)
        self.began = self.looked = 0.0
        self.bar = Progress(
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            auto_refresh=False,  # which would take a thread
        )
        self.task = self.bar.add_task(
            "", total=steps, epoch=min(1, self.epochs), epochs=self.epochs, figures=""
        )
        self.bar.start()

    def step(self, state: TrainingState, tally: Tally) -> None:
        """Moves the bar; looks at the figures twice a second."""
        now = time.monotonic()
        if len(tally.sizes) == 1:  # an epoch begins: only training is timed
            self.began, self.looked = now, now
        if self.bar is None or now - self.looked < REFRESH:
            return
        self.looked = now
        done = sum(tally.sizes)
        accuracy = tally.hits().sum().item() / done
        speed = (done - tally.sizes[0]) / (now - self.began)
        self.bar.update(
            self.task,
            completed=state.step,
            epoch=state.epoch + 1,
            figures=f"loss {tally.losses()[-1].item():.4f}  accuracy {accuracy:.4f}  "
            f"{speed:,.0f} examples/s",
            refresh=True,
        )

    def note(self, text: str) -> None:
        """Prints one line above the bar."""
        if self.bar is None:
            super().note(text)
        else:
            self.bar.console.print(printable(text), markup=False, highlight=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        """Prints a warning above the bar."""
        self.note(f"Warning: {text}")

    def finish(self) -> None:
        """Removes the bar."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


class Echo(logging.Handler):
    """Prints the records of the logger `mlrun` and those below it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Prints one line, with a prefix for a warning."""
        before = "Warning: " if record.levelno >= logging.WARNING else ""
        echo(f"{before}{record.getMessage()}", err=True)


def listen(*, quiet: bool) -> None:
    """Prints the log records of core and plugins; with `quiet`, warnings only."""
    logger = logging.getLogger("mlrun")
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    logger.handlers = [Echo()]


def progress_for(*, quiet: bool) -> Lines:
    """Returns a bar where stderr is a terminal, plain lines elsewhere.

    From now on nothing fails because it cannot be printed, on stdout or stderr.
    """
    make_lossy("stdout")
    if sys.stderr.isatty() and not quiet and os.environ.get("TERM") != "dumb":
        return Terminal()
    return Lines(quiet=quiet)


def epoch_line(epoch: int, epochs: int, metrics: Mapping[str, float]) -> str:
    """Returns one epoch's figures on one line."""
    parts = [f"epoch {epoch}/{epochs}"]
    for part in ("train", "val"):
        if f"{part}/loss" in metrics:
            loss, accuracy = metrics[f"{part}/loss"], metrics[f"{part}/accuracy"]
            parts.append(f"{part} loss {loss:.4f} accuracy {accuracy:.4f}")
    if "examples_per_second" in metrics:
        parts.append(f"{metrics['examples_per_second']:,.0f} examples/s")
    return "  ".join(parts)


def counted(number: int, noun: str) -> str:
    """Returns a number with its noun in the singular or plural: `1 step`, `1,293 examples`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def served() -> bool:
    """Whether something listens where `mlrun ui` puts MLflow's UI."""
    import socket

    try:
        socket.create_connection(("127.0.0.1", 5000), 0.2).close()
    except OSError:
        return False
    return True
