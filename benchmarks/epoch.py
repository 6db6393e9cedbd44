"""An epoch of a small perceptron with everything that belongs to it, against what else there is.

System A of docs/systems.md: batches of 64, SGD, validation after each epoch, loss and accuracy
every 50 steps, the 2 best checkpoints, into MLflow on SQLite. Each program runs in a process of
its own; an epoch is from the end of the first one to the end of the last, divided by their
number, so that imports and what is made once do not count.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import click

from benchmarks.harness import Bench, Row, own_store, peer

LEAST = {"Lightning": 12.0, "a loop over a DataLoader": 8.0}
PROGRAMS = {"Lightning": "lightning_program", "a loop over a DataLoader": "loop_program"}


def run(bench: Bench) -> Iterator[Row]:
    """Yields the ratios of the others' epochs to mlrun's, and of their processes."""
    programs = dict(PROGRAMS)
    if find_spec("lightning") is None:
        text = 'lightning is not installed: pip install -e ".[benchmarks]"'
        if not bench.quick:
            raise click.UsageError(text)
        click.echo(text, err=True)
        del programs["Lightning"]
    ours, theirs = (2, 2) if bench.quick else (6, 3)
    epochs: dict[str, list[float]] = {name: [] for name in programs}
    processes: dict[str, list[float]] = {name: [] for name in programs}
    seconds = []
    for _ in range(bench.repetitions):
        with own_store(bench):
            mine = peer("mlrun_program", bench.data, ours)
        seconds.append(mine["epoch"])
        for name, program in programs.items():
            with own_store(bench):
                other = peer(program, bench.data, theirs)
            epochs[name].append(other["epoch"] / mine["epoch"])
            processes[name].append(other["process"] / theirs / (mine["process"] / ours))
    yield Row("epoch", "mlrun, an epoch", seconds, unit="s")
    for name, least in LEAST.items():
        if name in programs:
            note = "aim 20" if name == "Lightning" else ""
            yield Row("epoch", f"{name} / mlrun, an epoch", epochs[name], least=least, note=note)
            what = f"{name} ({theirs} epochs) / mlrun ({ours}), whole processes, an epoch"
            yield Row("epoch", what, processes[name])
