"""The settings that say how the weights are trained."""

from __future__ import annotations

from typing import Literal

from mlrun.settings.fields import BESIDE, UNNAMED, OptionOf, SettingsGroup, Traits, setting
from mlrun.settings.values import (
    ClassWeights,
    Count,
    Flag,
    Number,
    PartLrs,
    PartRates,
    Text,
)


class TrainingSettings(SettingsGroup):
    """The training, the optimiser and its learning rate."""

    epochs: Count = setting(
        5, "epochs; 0 only evaluates and draws the model", "Training", UNNAMED, ge=0
    )
    steps: Count = setting(
        0,
        "optimiser steps to train for, whatever epochs says; 0 for epochs",
        "Training",
        UNNAMED,
        ge=0,
    )
    time_limit: Number = setting(
        0.0,
        "minutes after which training stops and the run is finished; 0 never",
        "Training",
        UNNAMED,
        ge=0,
    )
    early_stopping: Count = setting(
        0,
        "stop after so many evaluated epochs without a better monitor; 0 never",
        "Training",
        UNNAMED,
        ge=0,
    )
    initialisation: Literal[
        "default",
        "normal",
        "xavier-uniform",
        "xavier-normal",
        "kaiming-uniform",
        "kaiming-normal",
        "orthogonal",
    ] = setting(
        "default",
        "how the linear and convolutional layers that are trained start: as the model has them, "
        "normal (0, 1) with biases, or as torch.nn.init has it, with biases 0",
        "Training",
    )
    init_from: Text = setting(
        None,
        "run id (or its start) whose best weights to start from; the head stays fresh where "
        "the classes differ",
        "Training",
    )
    reduction: Literal["mean", "sum"] = setting(
        "mean",
        "what of a step's losses is minimised: their mean, or their sum, which takes an lr smaller "
        "by the number of examples; what is reported is the mean",
        "Training",
    )
    cache_features: Flag = setting(
        True,
        "compute what a frozen part of the model makes of the images once, not every epoch",
        "Training",
        BESIDE,
    )
    label_smoothing: Number = setting(
        0.0,
        "share of each label that is spread over all classes, 0 to below 1",
        "Training",
        ge=0,
        lt=1,
    )
    class_weights: ClassWeights = setting(
        "none",
        "weight of each class in the training loss: none, balanced (by rarity), or numbers with "
        "commas",
        "Training",
    )
    accumulate: Count = setting(1, "batches a step: their gradients are added up", "Training", ge=1)
    clip_norm: Number = setting(0.0, "largest norm of the gradient; 0 for any", "Training", ge=0)
    ema: Number = setting(
        0.0,
        "decay of a running average of the weights, which is evaluated and kept in their place, "
        "such as 0.999; 0 for none",
        "Training",
        ge=0,
        lt=1,
    )

    optimiser: Literal["sgd", "adam", "adamw", "rmsprop"] = setting(
        "adam", "optimiser", "Optimiser"
    )
    lr: Number = setting(0.001, "learning rate", "Optimiser", Traits(in_name="first"), gt=0)
    part_lrs: PartLrs = setting(
        PartRates(),
        "learning rates of parts of the network, by name of layers, with * (the first match "
        "counts): conv1=1e-4,fc*=0; 0 freezes a part, and the rest trains at lr",
        "Optimiser",
    )
    momentum: Number = setting(
        0.0,
        "momentum, for sgd and rmsprop",
        "Optimiser",
        Traits(option_of=OptionOf("optimiser", ("sgd", "rmsprop"))),
        ge=0,
        lt=1,
    )
    nesterov: Flag = setting(
        False,
        "Nesterov momentum, for sgd",
        "Optimiser",
        Traits(option_of=OptionOf("optimiser", ("sgd",))),
    )
    weight_decay: Number = setting(0.0, "weight decay", "Optimiser", ge=0)
    schedule: Literal["constant", "cosine", "step", "one-cycle", "plateau"] = setting(
        "constant", "how the learning rate changes", "Optimiser"
    )
    warmup_epochs: Number = setting(
        0.0,
        "epochs over which the learning rate first rises from 0, such as 0.5",
        "Optimiser",
        ge=0,
    )
    schedule_every: Count = setting(
        10,
        "epochs between two falls, for schedule step",
        "Optimiser",
        Traits(option_of=OptionOf("schedule", ("step",))),
        ge=1,
    )
    schedule_patience: Count = setting(
        3,
        "evaluated epochs without a better monitor that plateau lets pass before a fall",
        "Optimiser",
        Traits(option_of=OptionOf("schedule", ("plateau",))),
        ge=0,
    )
    schedule_factor: Number = setting(
        0.1,
        "what a fall multiplies the learning rate by, for step and plateau",
        "Optimiser",
        Traits(option_of=OptionOf("schedule", ("step", "plateau"))),
        gt=0,
        lt=1,
    )

    @property
    def trains(self) -> bool:
        """Whether anything is trained."""
        return bool(self.steps or self.epochs)
