"""Twenty learning rates in one process, `mlrun.train` in a loop, against twenty `mlrun train`.

The run that is held to the bound is the small one of the benchmark `start`: an epoch of digits.
Of longer ones the training itself, which is the same for both, takes a larger share.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

from benchmarks.harness import Bench, Row, own_store, peer, seconds_of

RATES = [f"{1e-4 * 1.3**place:.2e}" for place in range(20)]
MEASURED = 4  # processes; the others would take as long
SMALL: dict[str, object] = {"epochs": 1, "visualisers": "none", "log_model": "false"}


def run(bench: Bench) -> Iterator[Row]:
    """Yields the ratio of the processes' time to that of the one process."""
    mnist = {"dataset": "mnist", "data_dir": str(bench.data), "model": "mlp", "batch_size": 64}
    yield row("digits, 1 epoch", SMALL, bench, least=5)
    if bench.quick:
        return
    yield row("digits, 5 epochs", {**SMALL, "epochs": 5}, bench)
    yield row("MNIST, mlp, 1 epoch", {**SMALL, **mnist}, bench)


def row(what: str, settings: dict[str, object], bench: Bench, least: float | None = None) -> Row:
    """Returns the row of one kind of run."""
    rates, measured = (RATES[:2], 1) if bench.quick else (RATES, MEASURED)
    options = [f"--{name}={value}" for name, value in settings.items()]
    ratios = []
    for _ in range(bench.repetitions):
        with own_store(bench):
            together = peer("sweep_program", json.dumps(settings), *rates)["process"]
        with own_store(bench) as environment:
            apart = sum(
                seconds_of(
                    [sys.executable, "-m", "mlrun", "train", f"--lr={lr}", *options], environment
                )
                for lr in rates[:measured]
            )
        ratios.append(apart / measured * len(rates) / together)
    text = f"{what}: {len(rates)} processes / one process"
    return Row("sweep", text, ratios, least=least, note=f"{measured} processes measured")
