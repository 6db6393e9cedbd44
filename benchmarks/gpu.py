"""mlrun's steps on a GPU against the raw loop's, and whether a step waits for the device.

LeNet on MNIST, and ResNet-18 on random images of CIFAR-10's shape, both in 32 bits and in bf16.
The raw loop trains a copy of the network that mlrun builds, from floats on the device.
"""

from __future__ import annotations

import copy
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
from mlrun.preparing.prepared import ready
from mlrun.settings.plan import plan_of

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


def run(bench: Bench) -> Iterator[Row]:
    """Yields ratios and speeds; nothing where there is no GPU."""
    if not torch.cuda.is_available():
        click.echo("gpu: there is no CUDA GPU here, so nothing is measured", err=True)
        return
    epochs = 1 + bench.repetitions
    networks: dict[str, dict[str, object]] = {"LeNet": {}, "ResNet-18": RESNET}
    for name, others in networks.items():
        for precision in ("32", "bf16"):
            changed = {**others, "epochs": epochs, "precision": precision}
            settings = settings_of("lenet", bench.data, **changed)
            raw = raw_epochs(settings, epochs)
            clock = Watching()
            with own_store(bench):
                mlrun.train(settings, progress=clock)
            pairs = zip(clock.seconds[1:], raw[1:], strict=True)
            what = f"{name}, {precision}: mlrun / raw loop"
            speed = clock.examples / sum(clock.seconds)
            yield Row("gpu", what, [a / b for a, b in pairs], most=MOST, note=f"{speed:,.0f} ex/s")


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


def raw_epochs(settings: dict[str, object], epochs: int) -> list[float]:
    """Returns the seconds of the raw loop's epochs."""
    with ready(plan_of(settings)) as prepared:
        model, places = copy.deepcopy(prepared.model), torch.arange(len(prepared.train.labels))
        images, labels = prepared.train.gather(places), prepared.train.labels
        size, autocast = prepared.train.batch_size, prepared.precision.autocast
        update = torch.optim.Adam(model.parameters(), lr=0.001, fused=True)
        seconds = []
        for _ in range(epochs):
            torch.cuda.synchronize()
            started = time.perf_counter()
            for indices in torch.randperm(len(images), device=images.device).split(size):
                with autocast():
                    logits = model(images[indices])
                train_step(logits, labels[indices], update)
            torch.cuda.synchronize()
            seconds.append(time.perf_counter() - started)
    return seconds


def train_step(logits: Tensor, labels: Tensor, update: torch.optim.Optimizer) -> None:
    """Takes one step of the raw loop."""
    loss = F.cross_entropy(logits.float(), labels)
    update.zero_grad()
    loss.backward()
    update.step()
