"""Several perceptrons trained as one, against one after another.

System A's perceptron without batch normalisation, each model with its own seed, learning rate and
order of batches; no evaluation, no tracking. CPU time, on one thread. A repetition is an epoch of
all: half of the models by themselves, all as one, and the other half.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from benchmarks.harness import Bench, Row
from benchmarks.networks import settings_of
from mlrun.data.batches import Batches
from mlrun.machine.devices import torch_settings
from mlrun.preparing.contracts import build_model
from mlrun.preparing.prepared import Prepared, prepare
from mlrun.settings.plan import plan_of
from mlrun.training.loop import fit
from mlrun.training.setup import make_procedure, make_state
from mlrun.training.stacked import Member, fit_together

MODELS = 16
MOST = 2 / 3
CPU = torch.device("cpu")


def run(bench: Bench) -> Iterator[Row]:
    """Yields the ratio of the CPU time of models as one to that of one after another."""
    given: dict[str, object] = {"epochs": 1, "threads": 1, "model.batch_norm": False}
    with torch_settings(CPU, 1, deterministic=False):
        yield row(settings_of("perceptron", bench.data, **given), bench)


def row(settings: dict[str, object], bench: Bench) -> Row:
    """Returns the row of models with these settings."""
    prepared = prepare(plan_of(settings), CPU)
    apart, together = members(settings, prepared), members(settings, prepared)
    ratios, seconds = [], 0.0
    for epoch in range(1, 2 + bench.repetitions):  # the first is to warm up
        alone = seconds_alone(longer(apart[: MODELS // 2], epoch))
        started = time.process_time()
        failures = fit_together(longer(together, epoch))
        seconds = time.process_time() - started
        assert not failures
        alone += seconds_alone(longer(apart[MODELS // 2 :], epoch))
        ratios.append(seconds / alone)
    steps = MODELS * len(prepared.train)
    note = f"{1e6 * seconds / steps:.0f} µs a step of each model"
    what = f"{MODELS} perceptrons: as one / one after another, CPU time"
    return Row("vectorised", what, ratios[1:], most=MOST, note=note)


def members(settings: dict[str, object], prepared: Prepared) -> list[Member]:
    """Returns the trainings, on the images of `prepared`."""
    found = []
    for seed in range(MODELS):
        own = plan_of({**settings, "seed": seed, "lr": 0.001 * (1 + seed)})
        steps = len(prepared.train)
        model = build_model(own.model, prepared.data.shape, len(prepared.data.classes), seed)
        state = make_state(model, own.settings, prepared.precision, steps, steps)
        procedure = make_procedure(model, own.settings, prepared.precision, None, steps)
        batching = replace(prepared.train.batching, seed=seed)
        found.append(Member(state, Batches(prepared.train.store, batching), procedure))
    return found


def longer(members: Sequence[Member], epochs: int) -> list[Member]:
    """Returns the trainings, so long that they come to an end after so many epochs."""
    return [
        one._replace(procedure=replace(one.procedure, steps=epochs * len(one.batches)))
        for one in members
    ]


def seconds_alone(members: Sequence[Member]) -> float:
    """Returns the CPU seconds that the trainings take one after another."""
    started = time.process_time()
    for one in members:
        fit(*one)
    return time.process_time() - started
