"""What the tests of training share: a small network, seventy images, and a listener."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import nn

from mlrun.data.batches import Batches
from mlrun.data.normalisation import Normalisation
from mlrun.data.splits import Selection
from mlrun.machine.precision import Precision
from mlrun.settings import Settings
from mlrun.training.loop import fit
from mlrun.training.setup import class_weights, make_procedure, make_state, total_steps
from mlrun.training.state import TrainingState
from mlrun.training.tally import Tally

CPU = torch.device("cpu")
NORMALISATION = Normalisation((0.5,), (0.25,))
CLASSES = 3


def selection(count: int = 70) -> Selection:
    drawn = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 1, 4, 4), dtype=torch.uint8, generator=drawn)
    return Selection("train", torch.arange(count), images, torch.arange(count) % CLASSES)


def batches(**settings: object) -> Batches:
    options: dict[str, object] = {"shuffle": True, "seed": 5, "batch_size": 32, **settings}
    return Batches(selection(), NORMALISATION, device=CPU, **options)


def network(dropout: float = 0.0) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(16, 8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, CLASSES)
    )


@dataclass
class Listener:
    """Keeps what it is told."""

    steps: list[tuple[int, float, float, int]] = field(default_factory=list)
    evaluated: list[int] = field(default_factory=list)
    epochs: list[dict[str, float]] = field(default_factory=list)

    def after_step(self, state: TrainingState, tally: Tally) -> None:
        loss, hits = tally.losses()[-1].item(), tally.hits()[-1].item()
        self.steps.append((state.step, loss, hits, tally.sizes[-1]))

    def evaluate(self, state: TrainingState) -> None:
        self.evaluated.append(state.step)

    def after_epoch(self, state: TrainingState, metrics: dict[str, float]) -> None:
        self.epochs.append(metrics)


@dataclass
class Training:
    """A state, and the settings, batches and listener it is trained with."""

    state: TrainingState
    settings: Settings
    batches: Batches
    listener: Listener

    def run(self, **changed: object) -> Training:
        """Trains as the settings say, with those that are `changed` in their place."""
        settings = self.settings.model_copy(update=changed)
        procedure = make_procedure(
            self.state.model,
            settings,
            Precision(settings.precision, "cpu"),
            class_weights(settings.class_weights, self.batches.labels, CLASSES),
            total_steps(settings, len(self.batches)),
        )
        fit(self.state, self.batches, procedure, self.listener)
        return self


def training(model: nn.Module | None = None, **settings: object) -> Training:
    """Returns a training of `model` that has not begun; SGD unless the settings say otherwise."""
    given = {"seed": 5, "lr": 0.05, "optimiser": "sgd", "precision": "32", "epochs": 2, **settings}
    parsed = Settings.parse(given)
    data = batches(
        batch_size=settings.get("batch_size", 32), accumulate=parsed.accumulate, seed=parsed.seed
    )
    state = make_state(
        model or network(),
        parsed,
        Precision(parsed.precision, "cpu"),
        total_steps(parsed, len(data)),
        len(data),
    )
    return Training(state, parsed, data, Listener())
