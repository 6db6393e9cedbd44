"""The batches that a run is trained on, and those that each part is evaluated with."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from mlrun.data.augmentation import Augmentation
from mlrun.data.batches import Batches, Batching
from mlrun.data.examples import ExampleStore
from mlrun.data.mixing import Mixing
from mlrun.data.normalisation import Normalisation
from mlrun.data.shares import Share
from mlrun.data.splits import Selection
from mlrun.data.variants import change_batches
from mlrun.machine.group import Group
from mlrun.machine.randomness import derive_seed
from mlrun.settings import Settings
from mlrun.settings.changes import Variant
from mlrun.training.procedure import Procedure
from mlrun.training.reports import Evaluate

EVALUATED_AT_ONCE = 256  # examples a batch; larger ones are slower on a CPU
PIXELS_AT_ONCE = 2**23  # of a batch that is evaluated: its feature maps must fit in memory


class Inputs(NamedTuple):
    """The arguments of `fit` besides the state: batches, procedure, and evaluation of a part."""

    batches: Batches
    procedure: Procedure
    evaluate: Evaluate


def make_batches(
    settings: Settings,
    selections: dict[str, Selection],
    normalisation: Normalisation,
    device: torch.device,
    group: Group,
) -> tuple[Batches, dict[str, Batches]]:
    """Returns the batches to train on, and those to evaluate each part with, which are whole."""
    augmentation = Augmentation(settings)

    def augment(images: Tensor, epoch: int, step: int, share: Share | None) -> Tensor:
        return augmentation(
            images,
            seed=derive_seed(settings.seed, "augmentation", epoch, step),
            fill=normalisation.shift,
            unit=255 * normalisation.scale,
            share=share,
        )

    stores = {
        name: ExampleStore.of(selection, normalisation, device)
        for name, selection in selections.items()
    }
    batching = Batching(
        batch_size=settings.batch_size,
        accumulate=settings.accumulate,
        shuffle=settings.shuffle,
        drop_last=settings.drop_last and settings.trains,  # else there is nothing to leave out
        seed=settings.seed,
        change=augment if augmentation.active else None,
        group=group,
        ahead=1 if Mixing(settings).active else 0,
    )
    at_once = evaluated_at_once(selections["train"].images.shape[1:])
    parts = {name: Batches(store, Batching(at_once)) for name, store in stores.items()}
    for variant in map(Variant.parse, settings.test_variants):
        parts[variant.called("test")] = change_batches(parts["test"], variant, seed=settings.seed)
    return Batches(stores["train"], batching), parts


def evaluated_at_once(shape: tuple[int, ...]) -> int:
    """Returns how many images of `shape` (C, H, W) are evaluated in one batch."""
    return max(1, min(EVALUATED_AT_ONCE, PIXELS_AT_ONCE // math.prod(shape)))
