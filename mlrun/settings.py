"""The settings of one run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from mlrun.agreement import check_agreement
from mlrun.errors import MlrunError, unknown
from mlrun.names import by_canonical_name
from mlrun.values import (
    ClassWeights,
    Count,
    EvaluateEvery,
    Factors,
    Flag,
    Names,
    NormalisationText,
    Number,
    Pairs,
    PartLrs,
    PartRates,
    Subset,
    Text,
    Validation,
    Variants,
    Word,
    explain,
    setting,
)

UNTOLD = ("data_dir", "epochs", "steps", "time_limit", "early_stopping", "lr", "cache_features")


class Settings(BaseModel):
    """The settings of one run; immutable, checked when made.

    `options` holds the options of components under their dotted names:
    `{"model.dropout": 0.2, "weights.cmap": "magma"}`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    model: str = setting("cnn", "model, by name or plugin/name", "Components")
    dataset: str = setting("digits", "data set, by name or plugin/name", "Components")
    visualisers: Names = setting(
        ("weights", "feature-maps", "confusion-matrix", "learning-curves"),
        "visualisers, with commas between; none for no pictures",
        "Components",
    )
    probe: Text = setting(
        None,
        "image that feature maps are drawn of in place of the data set's, in its own size: china, "
        "flower or a FILE",
        "Components",
    )
    plugin: Names = setting((), "a plugin that is one Python file; repeatable", "Components")

    data_dir: Path = setting(Path("data"), "folder that data sets are read from", "Data")
    subset: Subset = setting(
        "all", "training images to use: all, N (the first N) or random:N", "Data"
    )
    validation: Validation = setting(
        "auto",
        "own (the data set's own part), test (the test part), a fraction of the training images, "
        "drawn at random, last:N (the last N of them), or auto (own if there is one, else 0.1)",
        "Data",
    )
    normalisation: NormalisationText = setting(
        "computed",
        "none, dataset (what it publishes), computed (from the training images), or MEAN/STD, "
        "with commas between channels",
        "Data",
    )
    batch_size: Count = setting(32, "examples a batch", "Data", ge=1)
    shuffle: Flag = setting(True, "a new order each epoch", "Data")
    drop_last: Flag = setting(False, "leave out a last batch that is short", "Data")

    rotate: Number = setting(
        0.0,
        "turn by a random angle up to so many degrees, either way",
        "Augmentation",
        ge=0,
        le=180,
    )
    translate: Number = setting(
        0.0,
        "shift along each axis by up to this fraction of the side",
        "Augmentation",
        ge=0,
        le=1,
    )
    scale: Factors = setting(
        (1.0, 1.0), "enlarge by a random factor between the two: 0.9,1.1", "Augmentation"
    )
    shear: Number = setting(
        0.0,
        "shear by a random angle up to so many degrees, either way",
        "Augmentation",
        ge=0,
        lt=90,
    )
    flip: Literal["none", "horizontal", "vertical", "both"] = setting(
        "none", "mirror, along each axis named with probability 1/2", "Augmentation"
    )
    crop: Count = setting(
        0,
        "add so many pixels of black on each side, and cut the old size out",
        "Augmentation",
        ge=0,
    )
    erase: Number = setting(
        0.0, "probability that a rectangle of 2 to 33 % is blackened", "Augmentation", ge=0, le=1
    )
    noise: Number = setting(
        0.0, "standard deviation of Gaussian noise, pixels as 0–1", "Augmentation", ge=0
    )
    mixup: Number = setting(0.0, "alpha of mixup, such as 0.2; 0 for none", "Augmentation", ge=0)
    cutmix: Number = setting(0.0, "alpha of CutMix, such as 1; 0 for none", "Augmentation", ge=0)

    epochs: Count = setting(5, "epochs; 0 only evaluates and draws the model", "Training", ge=0)
    steps: Count = setting(
        0, "optimiser steps to train for, whatever epochs says; 0 for epochs", "Training", ge=0
    )
    time_limit: Number = setting(
        0.0, "minutes after which training stops and the run is finished; 0 never", "Training", ge=0
    )
    early_stopping: Count = setting(
        0, "stop after so many evaluated epochs without a better monitor; 0 never", "Training", ge=0
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
    lr: Number = setting(0.001, "learning rate", "Optimiser", gt=0)
    part_lrs: PartLrs = setting(
        PartRates(),
        "learning rates of parts of the network, by name of layers, with * (the first match "
        "counts): conv1=1e-4,fc*=0; 0 freezes a part, and the rest trains at lr",
        "Optimiser",
    )
    momentum: Number = setting(0.0, "momentum, for sgd and rmsprop", "Optimiser", ge=0, lt=1)
    nesterov: Flag = setting(False, "Nesterov momentum, for sgd", "Optimiser")
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
        10, "epochs between two falls, for schedule step", "Optimiser", ge=1
    )
    schedule_patience: Count = setting(
        3,
        "evaluated epochs without a better monitor that plateau lets pass before a fall",
        "Optimiser",
        ge=0,
    )
    schedule_factor: Number = setting(
        0.1,
        "what a fall multiplies the learning rate by, for step and plateau",
        "Optimiser",
        gt=0,
        lt=1,
    )

    seed: Count = setting(0, "seed of every random draw", "Machine", ge=0, lt=2**63)
    device: str = setting(
        "auto", "device: cpu, cuda, cuda:1, xpu, mps, or auto (the first there is)", "Machine"
    )
    precision: Annotated[Literal["auto", "32", "bf16", "16"], Word] = setting(
        "auto", "bits of the forward pass; auto is bf16 on a GPU that has it, else 32", "Machine"
    )
    deterministic: Flag = setting(
        False, "fail where an operation of torch is not reproducible", "Machine"
    )
    threads: Count = setting(
        0, "CPU threads of torch; 0 takes torch's own choice", "Machine", ge=0, le=1024
    )

    evaluate_every: EvaluateEvery = setting(
        "1", "validate every N epochs, or N steps (100steps) besides every epoch", "Record"
    )
    evaluate_train: Flag = setting(
        False,
        "take train/loss and train/accuracy of the whole training part in evaluation mode, "
        "not of the batches as they are trained on",
        "Record",
    )
    log_every: Count = setting(
        0,
        "steps between two entries of step/loss, step/accuracy, step/lr; 0 for none",
        "Record",
        ge=0,
    )
    system_metrics: Flag = setting(
        False, "log the use of CPU, memory, disk, network and GPU every 10 seconds", "Record"
    )
    test_variants: Variants = setting(
        (),
        "changes of the test part that the best weights are tested on besides, with commas "
        "between: rotate=25,rotate=10+noise=0.1 (of rotate, shift, blur and noise, as mlrun "
        "evaluate has them)",
        "Record",
    )
    keep: Count = setting(2, "checkpoints of the best epochs to keep", "Record", ge=1)
    monitor: Literal["val/loss", "val/accuracy", "train/loss", "train/accuracy"] = setting(
        "val/loss", "metric that says which epoch is best", "Record"
    )
    log_model: Flag = setting(True, "log the best weights as a servable model", "Record")
    experiment: Text = setting(
        None,
        "MLflow experiment; none takes MLflow's own (MLFLOW_EXPERIMENT_NAME, else Default)",
        "Record",
    )
    run_name: Text = setting(
        None, "name of the run; none makes one of model, data set and lr", "Record"
    )
    tags: Pairs = setting({}, "tags of the run: name=value, with commas between", "Record")
    strict: Flag = setting(False, "exit code 1 if a picture or the model log failed", "Record")
    options: dict[str, Any] = Field({}, repr=False)

    @field_validator("device")
    @classmethod
    def _lower(cls, value: str) -> str:
        return value.lower()

    @model_validator(mode="after")
    def _agree(self) -> Settings:
        check_agreement(self)
        return self

    def changed(self, groups: tuple[str, ...]) -> dict[str, object]:
        """Returns the settings of these groups that are not the default and tell runs apart.

        How long it trains, where the data lie and the learning rate are left out.
        """
        fields: dict[str, Any] = type(self).model_fields
        return {
            name: getattr(self, name)
            for name, field in fields.items()
            if name not in UNTOLD
            and (field.json_schema_extra or {}).get("group") in groups
            and getattr(self, name) != field.default
        }

    @property
    def evaluate_steps(self) -> int:
        """Steps between two evaluations within an epoch; 0 for none."""
        count, _, unit = self.evaluate_every.partition(" ")
        return int(count) if unit else 0

    @property
    def evaluate_epochs(self) -> int:
        """Epochs between two evaluations after an epoch."""
        return 1 if self.evaluate_steps else int(self.evaluate_every)

    @classmethod
    def parse(cls, values: Mapping[str, object]) -> Settings:
        """Returns the settings that dotted names and values, text or Python, stand for.

        `-` and `_` mean the same, and so do the names in `SPELLINGS`. Names with a dot are
        options of components; whether the component has them is seen when it is looked up.

        Raises:
            MlrunError: an unknown name or a wrong value, on one line.
        """
        core: dict[str, object] = {}
        options: dict[str, object] = {}
        for key, value in by_canonical_name(values).items():
            if "." in key:
                options[key] = value
            elif key in cls.model_fields and key != "options":
                core[key] = value
            else:
                raise unknown("setting", key, set(cls.model_fields) - {"options"})
        try:
            return cls.model_validate({**core, "options": options})
        except ValidationError as error:
            raise MlrunError(explain(error)) from None

    def flat(self) -> dict[str, object]:
        """Returns every setting, default or not, under its name; without the options."""
        return {name: getattr(self, name) for name in type(self).model_fields if name != "options"}
