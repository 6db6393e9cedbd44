"""One run in one and in two processes, against the DDP script that one would write.

LeNet on MNIST in batches of 256, of which each of two processes has half; one thread a process,
over gloo. All four take turns. The first epoch is to warm up.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks.harness import Bench, Row, own_store
from benchmarks.networks import settings_of
from benchmarks.turns import in_turns

BATCH = 256
LEAST = 0.95
PROGRAMS = {"mlrun": "processes_program", "script": "ddp_program"}
Kind = tuple[str, int]  # which program, in how many processes


def run(bench: Bench) -> Iterator[Row]:
    """Yields ratios of examples a second."""
    found = [speeds(bench) for _ in range(bench.repetitions)]
    for processes, least in ((2, LEAST), (1, None)):
        many = "process" if processes == 1 else "processes"
        values = [each["mlrun", processes] / each["script", processes] for each in found]
        what = f"LeNet, batches of {BATCH}, {processes} {many}: mlrun / a DDP script"
        note = ", ".join(f"{name} {found[-1][name, processes]:,.0f} ex/s" for name in PROGRAMS)
        yield Row("processes", what, values, least=least, note=note)
    for name in PROGRAMS:
        values = [each[name, 2] / each[name, 1] for each in found]
        yield Row("processes", f"LeNet, batches of {BATCH}, {name}: 2 processes / 1", values)


def speeds(bench: Bench) -> dict[Kind, float]:
    """Returns the examples a second of each program in one process, and in two."""
    kinds = [(name, processes) for name in PROGRAMS for processes in (1, 2)]
    with ExitStack() as stack:
        programs = []
        for name, processes in kinds:
            environment = {**stack.enter_context(own_store(bench)), "OMP_NUM_THREADS": "1"}
            programs.append((command(bench, name, processes), environment))
        lines = in_turns(programs)
    return {kind: json.loads(line)["speed"] for kind, line in zip(kinds, lines, strict=True)}


def command(bench: Bench, name: str, processes: int) -> list[str]:
    """Returns the command line of a program in so many processes."""
    epochs = 2 if bench.quick else 3
    start = [sys.executable]
    if processes > 1:
        start += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    given = [str(bench.data), str(epochs), str(BATCH)]
    if name == "mlrun":
        own = {"epochs": epochs, "batch_size": BATCH, "threads": 1}
        given = [json.dumps(settings_of("lenet", bench.data, **own))]
    return [*start, "-m", f"benchmarks.peers.{PROGRAMS[name]}", *given]
