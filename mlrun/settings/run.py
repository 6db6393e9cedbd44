"""The settings of one run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from mlrun.errors import MlrunError, unknown
from mlrun.seam.components import Kind
from mlrun.seam.conversion import NO_TEXT, is_blank, is_text
from mlrun.settings.augmentation import AugmentationSettings, MixingSettings
from mlrun.settings.data import DataSettings
from mlrun.settings.fields import BESIDE, PLAIN, UNNAMED, Traits, setting, traits_of_field
from mlrun.settings.intervals import CheckpointEvery, EvaluateEvery
from mlrun.settings.names import by_canonical_name
from mlrun.settings.training import TrainingSettings
from mlrun.settings.values import (
    Count,
    Flag,
    Number,
    Pairs,
    Text,
    Variants,
    WholeNumber,
    Word,
    explain,
)
from mlrun.settings.versions import brought_up, check_known

RECALLED = "recalled"  # the context of settings that a run had: whether they agree was seen then


class Settings(TrainingSettings, MixingSettings, AugmentationSettings, DataSettings):
    """The settings of one run; immutable, checked when made.

    Here are those of the machine and of what is recorded, behind those of the data, of
    augmentation and of the training. `options` holds the options of components under their
    dotted names: `{"model.dropout": 0.2, "weights.cmap": "magma"}`.
    """

    seed: WholeNumber = setting(0, "seed of every random draw", "Machine", UNNAMED, ge=0, lt=2**63)
    device: str = setting(
        "auto",
        "device: cpu, cuda, cuda:1, xpu, mps, or auto (the first there is)",
        "Machine",
        replace(BESIDE, words=("auto", "cpu", "cuda", "mps", "xpu")),
    )
    precision: Annotated[Literal["auto", "32", "bf16", "16"], Word] = setting(
        "auto",
        "bits of the forward pass; auto is bf16 on a GPU that has it, else 32",
        "Machine",
        UNNAMED,
    )
    deterministic: Flag = setting(
        False, "fail where an operation of torch is not reproducible", "Machine", BESIDE
    )
    threads: Count = setting(
        0,
        "CPU threads of torch; 0 takes what a step's work is worth, at most torch's own choice",
        "Machine",
        BESIDE,
        ge=0,
        le=1024,
    )

    evaluate_every: EvaluateEvery = setting(
        "1", "validate every N epochs, or N steps (100steps) besides every epoch", "Record", UNNAMED
    )
    evaluate_train: Flag = setting(
        False,
        "take train/loss and train/accuracy of the whole training part in evaluation mode, "
        "not of the batches as they are trained on",
        "Record",
        UNNAMED,
    )
    log_every: Count = setting(
        0,
        "steps between two entries of step/loss, step/accuracy, step/lr; 0 for none",
        "Record",
        BESIDE,
        ge=0,
    )
    system_metrics: Flag = setting(
        False,
        "log the use of CPU, memory, disk, network and GPU every 10 seconds",
        "Record",
        BESIDE,
    )
    test_variants: Variants = setting(
        (),
        "changes of the test part that the best weights are tested on besides, with commas "
        "between: rotate=25,rotate=10+noise=0.1 (of rotate, shift, blur and noise, as mlrun "
        "evaluate has them)",
        "Record",
        BESIDE,
    )
    keep: Count = setting(2, "checkpoints of the best epochs to keep", "Record", BESIDE, ge=1)
    checkpoint_every: CheckpointEvery = setting(
        "5 min",
        "how often the state of the training is saved within an epoch, for mlrun resume: every N "
        "minutes (10min) or steps (500steps), or none; it is at the ends of epochs too",
        "Record",
        replace(BESIDE, words=("none",)),
    )
    monitor: Literal["val/loss", "val/accuracy", "train/loss", "train/accuracy"] = setting(
        "val/loss", "metric that says which epoch is best", "Record", UNNAMED
    )
    log_model: Flag = setting(True, "log the best weights as a servable model", "Record", BESIDE)
    report: Flag = setting(
        True,
        "write report.html, all of the run in one page; with visualisers none there is none",
        "Record",
        BESIDE,
    )
    experiment: Text = setting(
        None,
        "MLflow experiment; none takes MLflow's own (MLFLOW_EXPERIMENT_NAME, else Default)",
        "Record",
        BESIDE,
    )
    run_name: Text = setting(
        None, "name of the run; none makes one of model, data set and lr", "Record", BESIDE
    )
    tags: Pairs = setting(
        {},
        "tags of the run: name=value, with commas between",
        "Record",
        replace(BESIDE, repeatable=True),
    )
    sync_wait: Number = setting(
        60.0,
        "seconds that a run waits at its end for a tracking store that fails; what is left is kept "
        "for mlrun sync",
        "Record",
        BESIDE,
        ge=0,
        le=86_400,
    )
    strict: Flag = setting(
        False, "exit code 1 if a picture or the model log failed", "Record", BESIDE
    )
    options: dict[str, Any] = Field({}, repr=False)

    @field_validator("*", mode="before")
    @classmethod
    def _a_text(cls, value: object, info: ValidationInfo) -> object:
        if not is_text(value):
            raise ValueError(f"expected a value, got {NO_TEXT}")
        if is_blank(value):
            words = traits_of(str(info.field_name)).words
            raise ValueError(
                "expected a value, got an empty text; leave it out, or say what is meant"
                + (f": {', '.join(words)}, …" if words else "")
            )
        return value

    @field_validator("device")
    @classmethod
    def _lower(cls, value: str) -> str:
        return value.lower()

    @model_validator(mode="after")
    def _agree(self, info: ValidationInfo) -> Settings:
        if info.context != RECALLED:
            check_agreement(self)
        return self

    def changed(self) -> dict[str, object]:
        """Returns the settings that stand in a run's name where they are not the default."""
        return {
            name: getattr(self, name)
            for name, traits in setting_traits().items()
            if traits.in_name == "changed" and not self.is_default(name)
        }

    def is_default(self, name: str) -> bool:
        """Whether a setting has its default."""
        return bool(getattr(self, name) == type(self).model_fields[name].default)

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
        Settings of an older version, as a run keeps them, mean what they meant then.

        Raises:
            MlrunError: an unknown name, a wrong value or a later version, on one line.
        """
        given = by_canonical_name(values)
        check_known(given)
        core: dict[str, object] = {}
        options: dict[str, object] = {}
        for key, value in brought_up(given).items():
            if "." in key:
                options[key] = value
            elif key in setting_traits():
                core[key] = value
            else:
                raise unknown("setting", key, setting_traits())
        try:
            return cls.model_validate({**core, "options": options})
        except ValidationError as error:
            raise MlrunError(explain(error)) from None

    def flat(self) -> dict[str, object]:
        """Returns every setting, default or not, under its name; without the options."""
        return {name: getattr(self, name) for name in setting_traits()}


@cache
def setting_traits() -> dict[str, Traits]:
    """Returns the traits of each setting by its name, in the settings' order."""
    fields = Settings.model_fields.items()
    return {name: traits_of_field(field) for name, field in fields if name != "options"}


def traits_of(name: str) -> Traits:
    """Returns the traits of a setting; plain ones where there is none of that name."""
    return setting_traits().get(name, PLAIN)


def component_settings() -> dict[str, Kind]:
    """Returns the settings that name components, and of which kind."""
    kinds = ((name, traits.kind) for name, traits in setting_traits().items())
    return {name: kind for name, kind in kinds if kind is not None}


def check_agreement(settings: Settings) -> None:
    """Raises ValueError where one setting means nothing, or the wrong thing, beside another."""
    for name, traits in setting_traits().items():
        if traits.option_of is None or settings.is_default(name):
            continue
        other, values = traits.option_of
        value = getattr(settings, other)
        if value not in values:
            raise ValueError(
                f"{name} is an option of {other} {' and '.join(values)}, not of {value}"
            )
    if settings.nesterov and not settings.momentum:
        raise ValueError("nesterov needs a momentum above 0")
    if settings.warmup_epochs and settings.schedule == "one-cycle":
        raise ValueError("warmup_epochs does not go with schedule one-cycle, which warms up itself")
