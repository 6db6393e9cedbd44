"""What the tests of training share: a small network, seventy images, and a callback."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import nn

from mlrun.data.batches import Batches, Batching
from mlrun.data.examples import ExampleStore
from mlrun.data.normalisation import Normalisation
from mlrun.data.splits import Selection
from mlrun.machine.precision import Precision
from mlrun.settings import Settings
from mlrun.training.callbacks import Callback, Epoch
from mlrun.training.evaluation import Evaluation, evaluate
from mlrun.training.loop import fit
from mlrun.training.procedure import Procedure
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
    return Batches(ExampleStore.of(selection(), NORMALISATION, CPU), Batching(**options))


def network(dropout: float = 0.0) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(16, 8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, CLASSES)
    )


class Recorder(Callback):
    """Keeps what it is told of the steps, the evaluations between them, and the epochs."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, float, float, int]] = []
        self.evaluated: list[int] = []
        self.epochs: list[dict[str, float]] = []

    def on_step_end(self, state: TrainingState, tally: Tally) -> None:
        loss, hits = tally.losses()[-1].item(), tally.hits()[-1].item()
        self.steps.append((state.step, loss, hits, tally.sizes[-1]))

    def on_evaluate(self, state: TrainingState, metrics: Mapping[str, float]) -> None:
        self.evaluated.append(state.step)

    def on_epoch_end(self, state: TrainingState, epoch: Epoch) -> None:
        if epoch.number:
            self.epochs.append(dict(epoch.metrics))


def evaluate_part(model: nn.Module, part: str) -> Evaluation:
    return evaluate(model, batches(shuffle=False), part=part)


@dataclass
class Training:
    """A state, and what it is trained with.

    evaluate: evaluates a part; without it nothing is evaluated.
    """

    state: TrainingState
    settings: Settings
    batches: Batches
    recorder: Recorder
    evaluate: Callable[[nn.Module, str], Evaluation] | None = None

    def run(self, **changed: object) -> Training:
        """Trains as the settings say, with those that are `changed` in their place."""
        settings = self.settings.model_copy(update=changed)
        procedure = procedure_of(replace(self, settings=settings))
        fit(self.state, self.batches, procedure, [self.recorder], self.evaluate)
        return self


def procedure_of(training: Training) -> Procedure:
    settings = training.settings
    return make_procedure(
        training.state.model,
        settings,
        Precision(settings.precision, "cpu"),
        class_weights(settings.class_weights, training.batches.labels, CLASSES),
        total_steps(settings, len(training.batches)),
    )


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
    return Training(state, parsed, data, Recorder())
