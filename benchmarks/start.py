"""Whole processes, from their start to their end."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import Bench, Row, own_store, peer, seconds_of

PLUGINS = 100
TRAIN = ("--epochs", "1", "--visualisers", "none", "--log-model", "false")
PLUGIN = '''"""A plugin."""

import mlrun


def model_{number}(shape, classes, *, width: int = 20):
    """A perceptron.

    Args:
        width: of the hidden layer.
    """


@mlrun.hookimpl
def register_models(register):
    register(model_{number})
'''


def run(bench: Bench) -> Iterator[Row]:
    """Yields the ratios of commands to the imports they cannot do without."""
    times = 0 if bench.quick else 4 * bench.repetitions
    with own_store(bench) as environment:
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package is compiled once
        yield help_row(environment, times)
        yield train_row(environment, 0 if bench.quick else bench.repetitions)
        yield plugins_row(environment, times)


def python(code: str) -> list[str]:
    """Returns the command that runs `code`."""
    return [sys.executable, "-c", code]


def mlrun(*arguments: str) -> list[str]:
    """Returns the command `mlrun`."""
    return [sys.executable, "-m", "mlrun", *arguments]


def help_row(environment: dict[str, str], times: int) -> Row:
    """Returns the row of --help."""
    ratios = []
    for _ in range(times + 1):
        base = seconds_of(python("import click, pluggy, rich"), environment)
        ratios.append(seconds_of(mlrun("--help"), environment) / base)
    return Row("start", "mlrun --help / import click, pluggy, rich", ratios[1:] or ratios, most=1.3)


def train_row(environment: dict[str, str], repetitions: int) -> Row:
    """Returns the row of the smallest training."""
    ratios = []
    for _ in range(repetitions + 1):
        base = seconds_of(python("import torch, mlflow"), environment)
        training = peer("training_program")["seconds"]
        ratios.append((seconds_of(mlrun("train", *TRAIN), environment) - training) / base)
    what = "(mlrun train on digits - the training) / import torch, mlflow"
    return Row("start", what, ratios[1:] or ratios, most=1.25)


def plugins_row(environment: dict[str, str], times: int) -> Row:
    """Returns the row of a hundred plugins, in milliseconds."""
    folder = Path(environment["MLRUN_HOME"]).parent / "site"
    install(folder)
    path = os.pathsep.join([environment["PYTHONPATH"], str(folder)])
    more = {**environment, "PYTHONPATH": path}
    listing = mlrun("plugins")
    added = [
        1000 * (seconds_of(listing, more) - seconds_of(listing, environment))
        for _ in range(times + 1)
    ]
    what = f"mlrun plugins, what {PLUGINS} plugins add"
    return Row("start", what, added[1:] or added, most=50, unit="ms")


def install(folder: Path) -> None:
    """Puts plugins into a folder as pip would: a module and its distribution's metadata."""
    folder.mkdir()
    for number in range(PLUGINS):
        (folder / f"many_{number}.py").write_text(PLUGIN.format(number=number))
        info = folder / f"many_{number}-1.0.dist-info"
        info.mkdir()
        head = f"Metadata-Version: 2.1\nName: many-{number}\nVersion: 1.0\n"
        (info / "METADATA").write_text(head + "Requires-Dist: mlrun-vision\n\n" + "A page.\n" * 100)
        (info / "entry_points.txt").write_text(f"[mlrun]\nmany-{number} = many_{number}\n")
