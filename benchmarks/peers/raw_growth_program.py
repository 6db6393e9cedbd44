"""The loop that one would write, on random images: `python -m benchmarks.peers.raw_growth_program`.

Arguments: how many images, how many steps, and `kept` or `bare`. What is `kept` after each epoch
is what mlrun keeps: an evaluation, the weights and the whole state, safe on the disk, and seven
figures, sent to MLflow by a thread. What that leaves of the speed of short epochs is a bound for
any program that keeps as much. Prints the seconds of a step for an example; it waits for its turns.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import tempfile
import threading
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from mlflow import MlflowClient
from mlflow.entities import Metric
from torch import Tensor, nn

from benchmarks.networks import network, optimiser
from benchmarks.turns import Turn

FIGURES = ("loss", "accuracy", "val-loss", "val-accuracy", "lr", "seconds", "speed")
GATHER = 0.5  # seconds between two requests, as mlrun has it


def drawn(count: int) -> tuple[Tensor, Tensor]:
    """Returns random images float32 (N, 1, 28, 28), standardised, and labels int64 (N,)."""
    images = torch.empty((count, 1, 28, 28)).normal_(generator=torch.Generator().manual_seed(0))
    return images, torch.arange(count) % 10


class Keeper:
    """Keeps what an epoch came to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.images, self.labels = drawn(1000)
        self.client = MlflowClient()
        self.run_id = self.client.create_run("0").info.run_id
        self.metrics: queue.Queue[Metric] = queue.Queue()
        threading.Thread(target=self.send, daemon=True).start()

    def send(self) -> None:
        """Sends what has come together, again and again."""
        while True:
            time.sleep(GATHER)
            waiting = [self.metrics.get() for _ in range(self.metrics.qsize())]
            self.client.log_batch(self.run_id, metrics=waiting)

    def keep(self, epoch: int, model: nn.Module, update: torch.optim.Optimizer) -> None:
        """Evaluates, saves and logs."""
        model.eval()
        with torch.inference_mode():
            batches = zip(self.images.split(64), self.labels.split(64), strict=True)
            loss = sum(F.cross_entropy(model(i), labels).item() for i, labels in batches)
        model.train()
        self.save("weights.pt", {"epoch": epoch, "model": model.state_dict()})
        state = {"model": model.state_dict(), "optimiser": update.state_dict()}
        self.save("last.pt", {"epoch": epoch, **state})
        for name in FIGURES:
            self.metrics.put(Metric(name, loss, time.time_ns() // 1_000_000, epoch))

    def save(self, name: str, content: dict[str, object]) -> None:
        """Writes a file so that it is there whole after a crash."""
        with (self.folder / "new").open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        (self.folder / "new").replace(self.folder / name)


def train(count: int, steps: int, keeper: Keeper | None) -> float:
    """Returns the seconds of a step for an example."""
    images, labels = drawn(count - count % 64)
    model = network("perceptron")
    update = optimiser("perceptron", model)
    turn = Turn()
    turn.wait()
    seconds, done, epoch = 0.0, 0, 0
    while done < steps:
        started, hits, losses = time.perf_counter(), [], []
        for indices in torch.randperm(len(images)).split(64):
            batch, targets = images[indices], labels[indices]
            update.zero_grad()
            logits = model(batch)
            loss = F.cross_entropy(logits, targets)
            loss.backward()
            update.step()
            losses.append(loss.detach())
            hits.append((logits.argmax(1) == targets).sum())
            seconds -= turn.spent()
            done += 1
            if done == steps:
                break
        seconds += time.perf_counter() - started
        epoch += 1
        if keeper is not None:
            keeper.keep(epoch, model, update)
    return seconds / (64 * done)


torch.set_num_threads(1)  # as mlrun has it for so small a network
count, steps, kind = sys.argv[1:]
with tempfile.TemporaryDirectory() as folder:
    found = train(int(count), int(steps), Keeper(Path(folder)) if kind == "kept" else None)
print(json.dumps({"example": found}))
