"""Random rotation, shift and scale: whole batches, against torchvision's transforms.

Both make standardised batches of 64 of MNIST's images, changed at random: torchvision one PIL
image after the other, as a Dataset does it, mlrun a batch at a time. Each has torch's default
number of threads, which is of use to one of them only.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch

import mlrun
from benchmarks.harness import Bench, Row, own_store
from benchmarks.networks import MEAN, STD, settings_of, standardised
from benchmarks.raw_loop import Beside, raw_steps

OURS: dict[str, object] = {"rotate": 15, "translate": 0.1, "scale": "0.9,1.1"}
BATCH = 64


def run(bench: Bench) -> Iterator[Row]:
    """Yields the ratio to torchvision, and that of an epoch with to one without."""
    values = [against_torchvision(bench) for _ in range(bench.repetitions)]
    what = "rotate, shift and scale: torchvision (PIL, v2) / mlrun, an image"
    yield Row("augmentation", what, values, least=15)
    plain, changed = (epochs(bench, changes) for changes in ({}, OURS))
    ratios = [after / before for before, after in zip(plain, changed, strict=True)]
    yield Row("augmentation", "LeNet, an epoch with it / without", ratios, most=1.25)


def against_torchvision(bench: Bench) -> float:
    """Returns how many times as long torchvision takes for the same images; they take turns."""
    from torchvision.datasets import MNIST
    from torchvision.transforms import v2

    from mlrun.preparing.prepared import ready
    from mlrun.settings.plan import plan_of

    affine = v2.RandomAffine(
        15, (0.1, 0.1), (0.9, 1.1), interpolation=v2.InterpolationMode.BILINEAR
    )
    to_tensor = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    change = v2.Compose([affine, to_tensor, v2.Normalize((MEAN,), (STD,))])
    theirs = MNIST(str(bench.data), transform=change)
    mine = other = 0.0
    with ready(plan_of(settings_of("lenet", bench.data, **OURS))) as prepared:
        batches = prepared.train.epoch(1)
        for number in range(4 if bench.quick else 100):
            started = time.perf_counter()
            next(batches)
            between = time.perf_counter()
            torch.stack([theirs[number * BATCH + place][0] for place in range(BATCH)])
            ended = time.perf_counter()
            if number:  # the first is to warm up
                mine, other = mine + between - started, other + ended - between
    return other / mine


def epochs(bench: Bench, changes: dict[str, object]) -> list[float]:
    """Returns the time of LeNet's epochs, as ratios to the raw loop, which takes turns with it.

    Against each other, two runs would show little but how the machine's speed changes.
    """
    beside = Beside(raw_steps("lenet", *standardised(bench.data)))
    settings = settings_of("lenet", bench.data, epochs=1 + bench.repetitions, **changes)
    with own_store(bench):
        mlrun.train(settings, progress=beside)
    return beside.ratios()[1:]
