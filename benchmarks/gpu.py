"""mlrun's steps on a GPU against the raw loop's, and whether a step waits for the device.

LeNet on MNIST, and ResNet-18 on random images of CIFAR-10's shape, both in 32 bits and in bf16.
The raw loop trains a copy of the network that mlrun builds, from floats on the device. What bf16
and channels-last buy is measured beside.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import click
import torch
import torch.nn.functional as F
from torch import Tensor

import mlrun
from benchmarks.clock import Clock
from benchmarks.harness import Bench, Row, own_store
from benchmarks.networks import settings_of
from benchmarks.peers import random_images
from mlrun.machine.devices import synchronise
from mlrun.preparing.prepared import ready
from mlrun.settings.plan import plan_of

Seconds = list[float]  # of one epoch after the other

MOST = 1.03
RESNET: dict[str, object] = {
    "model": "torchvision",
    "model.arch": "resnet18",
    "plugin": str(Path(random_images.__file__)),
    "dataset": "random-images",
    "dataset.count": 50_000,
    "dataset.channels": 3,
    "dataset.side": 32,
    "batch_size": 256,
    "validation": "own",
    "normalisation": "none",
}
NETWORKS: dict[str, dict[str, object]] = {"LeNet": {}, "ResNet-18": RESNET}


def run(bench: Bench) -> Iterator[Row]:
    """Yields ratios and speeds; nothing where there is no GPU."""
    if not torch.cuda.is_available():
        click.echo("gpu: there is no CUDA GPU here, so nothing is measured", err=True)
        return
    for name, others in NETWORKS.items():
        ours: dict[str, Seconds] = {}
        for precision in ("32", "bf16"):
            changed = {**others, "epochs": 1 + bench.repetitions, "precision": precision}
            settings = settings_of("lenet", bench.data, **changed)
            rows, ours[precision] = beside(f"{name}, {precision}", settings, bench)
            yield from rows
        yield Row("gpu", f"{name}: mlrun, bf16 / 32", ratios(ours["bf16"], ours["32"]))


def beside(what: str, settings: dict[str, object], bench: Bench) -> tuple[list[Row], Seconds]:
    """Returns the rows of a network in one precision, and the seconds of mlrun's epochs."""
    raw = raw_epochs(settings)
    last = raw_epochs(settings, torch.channels_last)
    clock = Watching()
    with own_store(bench):
        mlrun.train(settings, progress=clock)
    examples = clock.examples / len(clock.seconds)
    ours = clock.seconds[1:]
    speeds = [f"{examples / statistics.median(times):,.0f}" for times in (ours, raw)]
    note = f"{speeds[0]} ex/s, raw loop {speeds[1]}"
    return [
        Row("gpu", f"{what}: mlrun / raw loop", ratios(ours, raw), most=MOST, note=note),
        Row("gpu", f"{what}: raw loop, channels-last / without", ratios(last, raw)),
    ], ours


def ratios(ours: Seconds, others: Seconds) -> list[float]:
    """Returns the ratios of the seconds of one epoch after the other."""
    return [one / other for one, other in zip(ours, others, strict=True)]


class Watching(Clock):
    """Has every operation of a step that would wait for the device raise an error."""

    def start(self, steps: int, steps_an_epoch: int, examples: int) -> None:
        """Takes the length of an epoch."""
        self.steps, self.done = steps_an_epoch, 0

    def step(self, *told: object) -> None:
        """Watches the steps of an epoch but for the first and what comes after the last."""
        self.done += 1
        place = self.done % self.steps
        if place == 1:
            torch.cuda.set_sync_debug_mode("error")
        elif place == 0:
            torch.cuda.set_sync_debug_mode("default")


def raw_epochs(
    settings: dict[str, object], form: torch.memory_format = torch.contiguous_format
) -> Seconds:
    """Returns the seconds of the raw loop's epochs but for the first, which is to warm up.

    `form` is how images and the kernels of convolutions lie in memory.
    """
    with ready(plan_of(settings)) as prepared:
        device, train = prepared.device, prepared.train
        model = copy.deepcopy(prepared.model).to(memory_format=form)
        model.train()
        images, labels = train.gather(torch.arange(len(train.labels))), train.labels
        update = torch.optim.Adam(model.parameters(), lr=0.001, fused=True)
        seconds = []
        for _ in range(prepared.procedure.steps // len(train)):
            synchronise(device)
            started = time.perf_counter()
            for indices in torch.randperm(len(images), device=device).split(train.batch_size):
                with prepared.precision.autocast():
                    logits = model(images[indices].contiguous(memory_format=form))
                train_step(logits, labels[indices], update)
            synchronise(device)
            seconds.append(time.perf_counter() - started)
    return seconds[1:]


def train_step(logits: Tensor, labels: Tensor, update: torch.optim.Optimizer) -> None:
    """Takes one step of the raw loop."""
    loss = F.cross_entropy(logits.float(), labels)
    update.zero_grad()
    loss.backward()
    update.step()
