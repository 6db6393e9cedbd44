"""Features: the outputs of a model's frozen part for a run's images, computed once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from mlrun.data.batches import Batches
from mlrun.data.examples import room_on
from mlrun.machine.devices import synchronise
from mlrun.machine.group import ALONE, Group
from mlrun.machine.precision import Precision
from mlrun.preparing.inputs import Inputs
from mlrun.preparing.prepared import Prepared
from mlrun.training.evaluation import Evaluation, evaluate, evaluate_share, evaluating
from mlrun.training.following import evaluate_together
from mlrun.training.frozen.cut import Cut
from mlrun.training.frozen.search import find_cut

FEATURES_AT_MOST = 4 * 2**30  # bytes, of both parts
TRIED = 4  # images that a cut is tried on
PARTS = ("train", "val")  # which are gone over again in every epoch


@dataclass
class Features:
    """The features of the training and the validation images, and the cut behind them.

    cut: the place in the model.
    parts: of each part, batches of features in the selection's order, for evaluation.
    numbers: of each image. images: how many went through the frozen part, each once.
    seconds: of the frozen part for these images.
    spent: seconds until the features were computed, with the search for the cut.
    group: the processes that train together, each of which has all features.
    served: how many images' features have been trained on and evaluated.
    """

    cut: Cut
    precision: Precision
    parts: Mapping[str, Batches]
    numbers: int
    images: int
    seconds: float
    spent: float
    group: Group = ALONE
    served: int = 0

    def __str__(self) -> str:
        return (
            f"features of the frozen part ({self.tag}) of {self.images:,} images computed once in "
            f"{self.spent:.1f} s"
        )

    @property
    def tag(self) -> str:
        """The value of the run's tag about them."""
        return f"{self.cut}, {self.numbers:,} numbers an image"

    def forward(self, model: nn.Module, features: Tensor) -> Tensor:
        """Returns the logits that `model` makes of a batch of features."""
        self.served += len(features)
        return self.cut.rest(model, features)

    def evaluate(self, model: nn.Module, part: str) -> Evaluation:
        """Returns the evaluation of `model` on a part, from the features of its images."""
        with evaluate_together(self.group, model, part, features=True):
            return evaluate(
                model,
                self.parts[part],
                part=part,
                precision=self.precision,
                forward=self.forward,
                group=self.group,
            )

    def evaluate_share(self, model: nn.Module, part: str) -> None:
        """Evaluates what is this process's of a part, for rank 0, which calls `evaluate`."""
        evaluate_share(model, self.parts[part], self.precision, self.forward, self.group)

    @property
    def saved(self) -> float:
        """Seconds that the frozen part would have taken since, less those that were spent."""
        return self.served / self.images * self.seconds - self.spent

    @property
    def summary(self) -> str:
        """The line about them at the end of the training."""
        return (
            "the frozen part went over the images once, not "
            f"{self.served / self.images:.1f} times: {max(0.0, self.saved):.1f} s saved"
        )

    def instead_of(self, inputs: Inputs) -> Inputs:
        """Returns inputs of `fit` in which the features stand in the images' place."""
        batches = inputs.batches.holding(self.parts["train"].store.source)
        procedure = replace(inputs.procedure, forward=self.forward)
        return Inputs(batches, procedure, self.evaluate)


def features_of(prepared: Prepared, *, report: Callable[[str], None]) -> Features | None:
    """Returns the features that the run can be trained on, or None where it needs its images.

    It needs them where they change from epoch to epoch, where nothing is frozen or the frozen part
    cannot be cut from the rest, and where the features would take more than
    `FEATURES_AT_MOST` bytes. `report` is called with a line on the last two, and on the features.
    """
    if not same_in_every_epoch(prepared):
        return None
    started = time.perf_counter()
    train = prepared.train
    images = train.gather(torch.arange(min(TRIED, len(train.labels))))
    cut_and_example = find_cut(prepared.model, images, train.labels[:TRIED], prepared.precision)
    if cut_and_example is None:
        if not next(prepared.model.parameters()).requires_grad:  # else it is no beginning
            report(
                "the frozen part is computed in every epoch: what it makes of an image is not "
                "always the same, or not all that the rest of the model needs"
            )
        return None
    cut, example = cut_and_example
    count = sum(len(prepared.parts[part].labels) for part in PARTS)
    size = count * example[0].numel() * example.itemsize
    if size > FEATURES_AT_MOST:
        report(
            f"the frozen part is computed in every epoch: the features {cut} would take "
            f"{size / 2**30:.1f} GiB, more than {FEATURES_AT_MOST / 2**30:.1f}"
        )
        return None
    parts, seconds = compute(cut, prepared, example.to(place_of(size, prepared.device)))
    spent = time.perf_counter() - started
    features = Features(
        cut, prepared.precision, parts, example[0].numel(), count, seconds, spent, prepared.group
    )
    report(str(features))
    return features


def same_in_every_epoch(prepared: Prepared) -> bool:
    """Whether the model has a frozen part which sees the same training images in every epoch."""
    procedure, train = prepared.procedure, prepared.train
    changing = train.batching.change is not None or procedure.mixing is not None
    frozen = any(not parameter.requires_grad for parameter in prepared.model.parameters())
    return frozen and not changing and procedure.steps > 0


def place_of(size: int, device: torch.device) -> torch.device:
    """Returns where `size` bytes of features are kept: on the device, if there is room, or here."""
    fitting = device.type == "cpu" or size <= room_on(device)
    return device if fitting else torch.device("cpu")


def compute(cut: Cut, prepared: Prepared, example: Tensor) -> tuple[dict[str, Batches], float]:
    """Returns batches of the features of each part, and the seconds that the frozen part took.

    `example` are some features, (n, …), of the same shape and type, where these are to lie.
    """
    parts, seconds = {}, 0.0
    for part in PARTS:
        batches = prepared.parts[part]
        features = example.new_empty((len(batches.labels), *example.shape[1:]))
        seconds += fill(features, cut, prepared, batches)
        parts[part] = batches.holding(features)
    return parts, seconds


def fill(features: Tensor, cut: Cut, prepared: Prepared, batches: Batches) -> float:
    """Puts the features of a part's images, (N, …), in place; returns the frozen part's seconds."""
    done, seconds = 0, 0.0
    with evaluating(prepared.model), torch.no_grad():
        for images, _ in batches.epoch(0):
            synchronise(prepared.device)
            started = time.perf_counter()
            with prepared.precision.autocast():
                outputs = cut.features(prepared.model, images)
            synchronise(prepared.device)
            seconds += time.perf_counter() - started
            features[done : done + len(outputs)] = outputs
            done += len(outputs)
    return seconds
