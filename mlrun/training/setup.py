"""Makes the arguments of `fit` from settings: the initial state and the procedure."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mlrun.data.mixing import Mixing
from mlrun.errors import MlrunError, contained, one_line
from mlrun.machine.group import ALONE, Group
from mlrun.machine.precision import Precision
from mlrun.settings import Settings
from mlrun.training.average import Average
from mlrun.training.initialisation import initialise
from mlrun.training.losses import criterion
from mlrun.training.optimisation.optimisers import make_optimiser
from mlrun.training.optimisation.parts import freeze_parts
from mlrun.training.optimisation.patience import Patience
from mlrun.training.optimisation.schedules import make_schedule
from mlrun.training.procedure import Procedure
from mlrun.training.state import TrainingState


def make_state(
    model: nn.Module,
    settings: Settings,
    precision: Precision,
    steps: int,
    steps_an_epoch: int,
    group: Group = ALONE,
) -> TrainingState:
    """Returns the state of training before the first of `steps` steps.

    Freezes parts of `model` and draws its weights anew, as the settings say.

    Raises:
        MlrunError: the model has nothing to train, or no such part as the settings name.
    """
    freeze_parts(model, settings.part_lrs)
    if steps and not any(parameter.requires_grad for parameter in model.parameters()):
        without = "epochs 0 and without steps" if settings.steps else "epochs 0"
        raise MlrunError(
            f"it has no parameter that is trained, and is not frozen; with {without} it is only "
            "evaluated and drawn"
        )
    initialise(model, settings.initialisation, settings.seed)
    try:
        with contained(interrupts=True):
            optimiser = make_optimiser(model, settings)
    except Exception as error:
        raise MlrunError(
            f"the optimiser cannot be made of its parameters: {one_line(error)}"
        ) from error
    examples = settings.batch_size * settings.accumulate if settings.reduction == "sum" else 1
    return TrainingState(
        model,
        optimiser,
        make_schedule(optimiser, settings, steps=steps, steps_an_epoch=steps_an_epoch),
        precision.scaler(examples),
        Patience(settings.monitor, settings.early_stopping),
        Average(model, settings.ema) if settings.ema and not group.rank else None,
        group,
    )


def make_procedure(
    model: nn.Module,
    settings: Settings,
    precision: Precision,
    weights: Tensor | None,
    steps: int,
) -> Procedure:
    """Returns the procedure of a training of `steps` steps; `weights` are those of the classes.

    Raises:
        MlrunError: the model has a loss of its own that label smoothing or class weights do
            not reach.
    """
    if hasattr(model, "loss") and (settings.label_smoothing or weights is not None):
        raise MlrunError(
            "it has a loss of its own, which label_smoothing and class_weights do not reach; "
            "leave them out"
        )
    mixing = Mixing(settings)
    return Procedure(
        loss_of=criterion(model, label_smoothing=settings.label_smoothing, weights=weights),
        precision=precision,
        mixing=mixing if mixing.active else None,
        steps=steps,
        seed=settings.seed,
        reduction=settings.reduction,
        clip_norm=settings.clip_norm,
        evaluate_every=settings.evaluate_steps,
        evaluate_epochs=settings.evaluate_epochs,
        evaluate_train=settings.evaluate_train,
        seconds=60 * settings.time_limit,
        sync_batch_norm=settings.sync_batch_norm,
    )


def total_steps(settings: Settings, steps_an_epoch: int) -> int:
    """Returns the number of optimiser steps of the training.

    Raises:
        MlrunError: the warm-up outlasts it.
    """
    steps = settings.steps or settings.epochs * steps_an_epoch
    if settings.warmup_epochs * steps_an_epoch > steps > 0:
        raise MlrunError(
            f"warmup_epochs {settings.warmup_epochs:g} is longer than the training, "
            f"{steps / steps_an_epoch:g} epochs; shorten it"
        )
    return steps


def class_weights(text: str, labels: Tensor, classes: int) -> Tensor | None:
    """Returns the weight of each class, float32 (K,), on the labels' device; None for none.

    `balanced` is N / (P n), for a class with n of the N images, where P classes have any
    (as scikit-learn has it); a class without images has weight 0.

    Args:
        text: `none`, `balanced`, or a number for each class.
        labels: of the training images, int64 (N,).
        classes: how many there are, K.

    Raises:
        MlrunError: there are more numbers than classes, or fewer.
    """
    if text == "none":
        return None
    if text == "balanced":
        counts = labels.bincount(minlength=classes).double()
        weights = len(labels) / ((counts > 0).sum() * counts.clamp(min=1)) * (counts > 0)
        return weights.float()
    numbers = [float(number) for number in text.split(",")]
    if len(numbers) != classes:
        raise MlrunError(
            f"class_weights has {len(numbers)} numbers for {classes} classes; give one for each"
        )
    return torch.tensor(numbers, device=labels.device)
