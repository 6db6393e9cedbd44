"""mlrun's steps against the loop that one would write: floats in memory, batches by index.

Both train the same network in one process and take turns every `BLOCK` steps, since the
machine's speed changes within seconds. mlrun's time is that of a real run, with tracking on,
less what the raw loop took in between; neither side's validation counts. The raw loop has torch's
default number of threads.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

import mlrun
from benchmarks.clock import Clock
from benchmarks.harness import Bench, Row, own_store
from benchmarks.networks import Name, network, optimiser, settings_of, standardised

BLOCK = 50  # steps
BOUNDS: dict[Name, float] = {"perceptron": 1.10, "lenet": 1.03}


def run(bench: Bench) -> Iterator[Row]:
    """Yields the ratios of mlrun's steps to the raw loop's, then what each measure buys."""
    images, labels = standardised(bench.data)
    for name, most in BOUNDS.items():
        beside = Beside(raw_steps(name, images, labels))
        epochs = 1 + bench.repetitions  # the first is to warm up
        with own_store(bench):
            mlrun.train(settings_of(name, bench.data, epochs=epochs), progress=beside)
        yield Row("raw-loop", f"{name}: mlrun / raw loop", beside.ratios()[1:], most=most)
    for name in BOUNDS:
        yield from bought(name, images, labels, bench)


class Beside(Clock):
    """Has the raw loop do as many steps as mlrun did, every `BLOCK` steps, and times both."""

    def __init__(self, steps: Iterator[None]) -> None:
        super().__init__()
        self.steps = steps
        self.threads = torch.get_num_threads()
        self.waiting = 0
        self.raw, self.away = [0.0], [0.0]

    def step(self, *told: object) -> None:
        """Counts a step."""
        self.waiting += 1
        if self.waiting == BLOCK:
            self.take_turn()

    def take_turn(self) -> None:
        """Does the raw loop's steps; all of this is taken off mlrun's time."""
        started = time.perf_counter()
        ours = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        began = time.perf_counter()
        for _ in range(self.waiting):
            next(self.steps)
        self.raw[-1] += time.perf_counter() - began
        torch.set_num_threads(ours)
        self.waiting = 0
        self.away[-1] += time.perf_counter() - started

    def epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Ends an epoch; the raw loop's last steps come after mlrun's time was taken."""
        super().epoch(epoch, metrics)
        if not epoch:
            return
        away = self.away[-1]
        self.take_turn()
        self.away[-1] = away
        self.raw.append(0.0)
        self.away.append(0.0)

    def ratios(self) -> list[float]:
        """Returns mlrun's time over the raw loop's, of each epoch."""
        pairs = zip(self.seconds, self.away, self.raw, strict=False)
        return [(seconds - away) / raw for seconds, away, raw in pairs]


def raw_steps(name: Name, images: Tensor, labels: Tensor, **changed: object) -> Iterator[None]:
    """Trains epoch after epoch, and yields after each step; its draws are its own.

    What is `changed` of the loop that one would write, each by itself:
        gather: `select` (index_select), `bytes` (from uint8) or `epoch` (one gather an epoch).
        by_hand: gradients set to None by hand. late: right answers counted 32 steps at a time.
        fused: the optimiser's step as one operation.
    """
    gather, late = changed.get("gather", "index"), bool(changed.get("late"))
    model = network(name)
    update = optimiser(name, model, fused=True if changed.get("fused") else None)
    parameters = list(model.parameters())
    drawn = torch.Generator().manual_seed(0)
    raw = (
        ((images * 0.3081 + 0.1307) * 255).round().to(torch.uint8) if gather == "bytes" else images
    )
    scale, shift = torch.tensor([1 / (255 * 0.3081)]), torch.tensor([-0.1307 / 0.3081])
    model.train()
    while True:
        losses, hits, kept = [], [], []
        order = torch.randperm(len(images), generator=drawn)
        whole = images[order].split(64) if gather == "epoch" else ()
        for place, indices in enumerate(order.split(64)):
            if gather == "index":
                batch = images[indices]
            elif gather == "epoch":
                batch = whole[place]
            else:
                batch = raw.index_select(0, indices)
                if gather == "bytes":
                    batch = batch.float().mul_(scale).add_(shift)
            targets = labels[indices]
            if changed.get("by_hand"):
                for parameter in parameters:
                    parameter.grad = None
            else:
                update.zero_grad()
            logits = model(batch)
            loss = F.cross_entropy(logits, targets)
            loss.backward()
            update.step()
            losses.append(loss.detach())
            if not late:
                hits.append((logits.argmax(1) == targets).sum())
            else:
                kept.append((logits.detach(), targets))
                if len(kept) == 32:
                    hits.append(counted(kept))
            yield
        torch.stack(losses).mean().item()


def counted(kept: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Returns the right answers of each of the steps that were kept, all at once."""
    logits, targets = zip(*kept, strict=True)
    kept.clear()
    return (torch.stack(logits).argmax(2) == torch.stack(targets)).sum(1)


MEASURES: dict[str, tuple[int, dict[str, object]]] = {
    "one thread": (1, {}),
    "index_select in place of an index": (0, {"gather": "select"}),
    "gathered from bytes, standardised in the batch": (0, {"gather": "bytes"}),
    "one gather an epoch": (0, {"gather": "epoch"}),
    "gradients set to None by hand": (0, {"by_hand": True}),
    "right answers counted 32 steps at a time": (0, {"late": True}),
    "the optimiser's step as one operation": (0, {"fused": True}),
}


def bought(name: Name, images: Tensor, labels: Tensor, bench: Bench) -> Iterator[Row]:
    """Yields the ratio of the raw loop with one measure to the raw loop, for each measure.

    All take turns, `BLOCK` steps each; a repetition is an epoch, since some work comes once an
    epoch.
    """
    default = torch.get_num_threads()
    loops = {"": (0, raw_steps(name, images, labels))}
    for what, (threads, changed) in MEASURES.items():
        loops[what] = (threads, raw_steps(name, images, labels, **changed))
    epochs: dict[str, list[float]] = {what: [] for what in loops}
    for _ in range(bench.repetitions):
        seconds = dict.fromkeys(loops, 0.0)
        for _ in range(-(-len(images) // (64 * BLOCK))):
            for what, (threads, steps) in loops.items():
                torch.set_num_threads(threads or default)
                started = time.perf_counter()
                for _ in range(BLOCK):
                    next(steps)
                seconds[what] += time.perf_counter() - started
        for what, spent in seconds.items():
            epochs[what].append(spent)
    torch.set_num_threads(default)
    for what in MEASURES:
        ratios = [own / raw for own, raw in zip(epochs[what], epochs[""], strict=True)]
        yield Row("raw-loop", f"{name}: raw loop, {what} / without", ratios)
