"""Everything that can be wrong with a run, found out before it is opened."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mlrun.building import build_model, check_fit, check_last_batch, load_data, named
from mlrun.data.augmentation import Augmentation
from mlrun.data.batches import Batches
from mlrun.data.images import ImageData
from mlrun.data.normalisation import Normalisation, choose
from mlrun.data.probe import Probe, load_probe
from mlrun.data.randomness import derive_seed
from mlrun.data.splits import Selection, split
from mlrun.data.variants import Variant, changed
from mlrun.errors import MlrunError
from mlrun.plan import Plan
from mlrun.settings import Settings
from mlrun.training.evaluation import Evaluation, evaluate
from mlrun.training.loop import Procedure
from mlrun.training.precision import Precision
from mlrun.training.precision import choose as choose_precision
from mlrun.training.setup import class_weights, make_procedure, make_state, total_steps
from mlrun.training.state import TrainingState

LOG = logging.getLogger("mlrun.data")
EVALUATED_AT_ONCE = 256  # examples a batch; larger ones are slower on a CPU
PIXELS_AT_ONCE = 2**23  # of a batch that is evaluated: its feature maps must fit in memory
HASHED = 64 * 2**20  # bytes of images that go into a data set's digest


@dataclass(frozen=True)
class Prepared:
    """A run that is ready to start.

    selections: which images belong to `train`, `val` and perhaps `test`.
    parts: the batches to evaluate each with, and `test-rotated-25` and the like for the
        variants of the test part.
    state: training before its first step; its model is on the device.
    train: batches to train on.
    procedure: how they are trained on.
    probe: the image that is looked into in place of the data set's, if one is asked for.
    """

    device: torch.device
    data: ImageData
    selections: dict[str, Selection]
    normalisation: Normalisation
    precision: Precision
    train: Batches
    parts: dict[str, Batches]
    state: TrainingState
    procedure: Procedure
    probe: Probe | None

    @property
    def model(self) -> nn.Module:
        """The model that is trained."""
        return self.state.model

    def evaluate(
        self,
        model: nn.Module,
        part: str,
        *,
        places: Sequence[int] | None = None,
        variant: Variant | None = None,
        seed: int = 0,
    ) -> Evaluation:
        """Returns what `model` says of a part.

        Args:
            model: on the device.
            part: one of `parts`.
            places: which of its images; all by default.
            variant: how they are changed, by draws from `seed`; not at all by default.
        """
        batches = self.parts[part]
        if places is not None:
            batches = batches.only(places)
        if variant is not None:
            batches = changed(batches, variant, seed=seed)
        return evaluate(model, batches, part=part, precision=self.precision)

    @property
    def about(self) -> dict[str, list[str] | list[int] | list[float]]:
        """What one must know to use the weights without the data set; plain values."""
        return {
            "classes": [str(name) for name in self.data.classes],
            "shape": list(self.data.shape),
            "mean": [float(value) for value in self.normalisation.mean],
            "std": [float(value) for value in self.normalisation.std],
        }


def prepare(plan: Plan, device: torch.device) -> Prepared:
    """Loads the data, builds the model and tries it on two images.

    Raises:
        MlrunError: the data cannot be had or break their contract, or the model cannot be
            built or does not fit the data or the settings.
    """
    settings = plan.settings
    precision = choose_precision(settings.precision, device)
    data = load_data(plan.dataset, settings.data_dir)
    with named(f"data set {plan.dataset.component.name}"):
        selections = split(
            data, validation=settings.validation, subset=settings.subset, seed=settings.seed
        )
        if settings.test_variants and "test" not in selections:
            raise MlrunError("it has no test part; leave test_variants out")
        if settings.drop_last and len(selections["train"]) < settings.batch_size:
            raise MlrunError(
                f"drop_last with batch_size {settings.batch_size} leaves no batch of "
                f"{len(selections['train'])} training images"
            )
        warn_of_absent(selections, data.classes)
        normalisation = choose(settings.normalisation, (data.mean, data.std), selections["train"])
    probe = None if settings.probe is None else load_probe(settings.probe, data.shape[0])
    normalisation = normalisation.to(device)
    model = build_model(plan.model, data.shape, len(data.classes), settings.seed).to(device)
    check_fit(plan, model, data, normalisation, device)
    train, parts = make_batches(settings, selections, normalisation, device)
    steps = total_steps(settings, len(train))
    weights = class_weights(settings.class_weights, train.labels, len(data.classes))
    with named(f"model {plan.model.component.name}"):
        state = make_state(model, settings, precision, steps, len(train))
        procedure = make_procedure(model, settings, precision, weights, steps)
    check_last_batch(model, train)
    return Prepared(
        device, data, selections, normalisation, precision, train, parts, state, procedure, probe
    )


def warn_of_absent(selections: dict[str, Selection], classes: Sequence[str]) -> None:
    """Warns of classes that are trained on but not validated: their figures say nothing."""
    trained, validated = (
        selections[part].labels[selections[part].indices].bincount(minlength=len(classes))
        for part in ("train", "val")
    )
    absent = [classes[k] for k in ((trained > 0) & (validated == 0)).nonzero().flatten().tolist()]
    if absent:
        more = ", …" if len(absent) > 5 else ""
        LOG.warning(
            "the validation part has no image of %d of %d classes: %s%s; see --validation",
            len(absent),
            len(classes),
            ", ".join(absent[:5]),
            more,
        )


def make_batches(
    settings: Settings,
    selections: dict[str, Selection],
    normalisation: Normalisation,
    device: torch.device,
) -> tuple[Batches, dict[str, Batches]]:
    """Returns the batches to train on and those to evaluate each part with."""
    augmentation = augmentation_of(settings)

    def augmented(images: Tensor, epoch: int, step: int) -> Tensor:
        return augmentation(
            images,
            seed=derive_seed(settings.seed, "augmentation", epoch, step),
            fill=normalisation.shift,
            unit=255 * normalisation.scale,
        )

    train = Batches(
        selections["train"],
        normalisation,
        batch_size=settings.batch_size,
        accumulate=settings.accumulate,
        device=device,
        shuffle=settings.shuffle,
        drop_last=settings.drop_last,
        seed=settings.seed,
        change=augmented if augmentation.active else None,
    )
    at_once = evaluated_at_once(selections["train"].images.shape[1:])
    parts = {
        name: Batches(selection, normalisation, batch_size=at_once, device=device)
        for name, selection in selections.items()
        if name != "train"
    }
    for variant in map(Variant.parse, settings.test_variants):
        parts[variant.called("test")] = changed(parts["test"], variant, seed=settings.seed)
    return train, {"train": train.in_order(at_once), **parts}


def evaluated_at_once(shape: tuple[int, ...]) -> int:
    """Returns how many images of `shape` (C, H, W) are evaluated in one batch."""
    return max(1, min(EVALUATED_AT_ONCE, PIXELS_AT_ONCE // math.prod(shape)))


def augmentation_of(settings: Settings) -> Augmentation:
    """Returns the augmentation that the settings name."""
    return Augmentation(
        rotate=settings.rotate,
        translate=settings.translate,
        scale=settings.scale,
        shear=settings.shear,
        flip=settings.flip,
        crop=settings.crop,
        erase=settings.erase,
        noise=settings.noise,
    )


def data_digest(selection: Selection) -> str:
    """Returns a digest of a selection: 16 hexadecimal digits of a SHA-256.

    It covers the images' shape, every label and index, and the images; of more than 64 MiB
    of images, as many as fill them, evenly spread.
    """
    sha = hashlib.sha256(str(tuple(selection.images.shape[1:])).encode())
    labels = selection.labels[selection.indices]
    sha.update(labels.numpy().tobytes())
    sha.update(selection.indices.numpy().tobytes())
    step = -(-len(selection) * selection.images[0].numel() // HASHED)
    for some in selection.indices[::step].split(4096):
        sha.update(selection.images[some].contiguous().numpy().tobytes())
    return sha.hexdigest()[:16]
