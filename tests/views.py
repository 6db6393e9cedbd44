"""Views of runs that were never made, for the tests of what draws them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from mlrun import ImageData, Part, View
from mlrun.data.batches import Batches, Batching
from mlrun.data.examples import ExampleStore
from mlrun.data.normalisation import Normalisation
from mlrun.data.probe import Probe
from mlrun.data.splits import split
from mlrun.data.variants import Variant, change_batches
from mlrun.training.evaluation import Evaluation, evaluate

CPU = torch.device("cpu")


def make_view(
    model: nn.Module,
    shape: tuple[int, int, int] = (1, 6, 6),
    classes: int = 3,
    probe: Probe | None = None,
    seed: int = 0,
) -> View:
    drawn = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (60, *shape), dtype=torch.uint8, generator=drawn)
    part = Part(images, torch.arange(60) % classes)
    data = ImageData(train=part, test=part, classes=tuple("abcdefghijkl"[:classes]))
    normalisation = Normalisation((0.5,) * shape[0], (0.25,) * shape[0])
    selections = split(data, validation=0.5, subset="all", seed=seed)
    parts = {
        name: Batches(ExampleStore.of(selection, normalisation, CPU), Batching(16))
        for name, selection in selections.items()
    }

    def evaluate_part(
        model: nn.Module,
        part: str,
        *,
        places: Sequence[int] | None = None,
        variant: Variant | None = None,
        seed: int = 0,
    ) -> Evaluation:
        batches = parts[part] if places is None else parts[part].only(places)
        batches = change_batches(batches, variant or Variant(), seed=seed)
        return evaluate(model, batches, part=part)

    return View(
        model=model.eval(),
        epoch=2,
        shape=shape,
        classes=data.classes,
        history={"train/loss": ((0, 1.0), (1, 0.5)), "val/loss": ((0, 1.0), (1, 0.6))},
        _selections=selections,
        _normalise=normalisation,
        _evaluate=evaluate_part,
        _default_part="test",
        _device=CPU,
        _probe=probe,
    )


def convolutional() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(144, 3)
    )


def deep(channels: int = 8, stride: int = 1) -> nn.Sequential:
    """Two convolutions that take any size, and a linear layer that does not."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, channels, 3, stride, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(channels, channels, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(channels, 3),
    )


def probe(height: int = 9, width: int = 11, channels: int = 1) -> Probe:
    drawn = torch.Generator().manual_seed(0)
    size = (1, channels, height, width)
    return Probe("a photo.png", torch.randint(0, 256, size, dtype=torch.uint8, generator=drawn))
