"""The settings of one run, and recipes: settings by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from mlrun.errors import MlrunError, unknown
from mlrun.seam.options import as_text, convert

Names = Annotated[tuple[str, ...], BeforeValidator(lambda value: names_of(value))]
Pairs = Annotated[dict[str, str], BeforeValidator(lambda value: pairs_of(value))]
Flag = Annotated[bool, BeforeValidator(lambda value: convert(bool, value))]
Count = Annotated[int, BeforeValidator(lambda value: convert(int, value))]
Number = Annotated[float, BeforeValidator(lambda value: convert(float, value))]
Text = Annotated[str | None, BeforeValidator(lambda value: convert(str | None, value))]


def setting(default: Any, description: str, group: str, **bounds: Any) -> Any:
    """Returns a pydantic field with a default, a line of help, a group and bounds."""
    return Field(default, description=description, json_schema_extra={"group": group}, **bounds)


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
    plugin: Names = setting((), "a plugin that is one Python file; repeatable", "Components")
    data_dir: Path = setting(Path("data"), "folder that data sets are read from", "Data")
    subset: str = setting("all", "training images to use: all, N (the first N) or random:N", "Data")
    validation: str | float = setting(
        "auto",
        "own (the data set's own part), test (the test part), a fraction of the training part, "
        "or auto (own if there is one, else 0.1)",
        "Data",
    )
    normalisation: str = setting(
        "computed",
        "none, dataset (what it publishes), computed (from the training images), or MEAN/STD, "
        "with commas between channels",
        "Data",
    )
    batch_size: Count = setting(32, "examples a step", "Data", ge=1)
    shuffle: Flag = setting(True, "a new order each epoch", "Data")
    drop_last: Flag = setting(False, "leave out a last batch that is short", "Data")
    epochs: Count = setting(5, "epochs; 0 only evaluates and draws the model", "Training", ge=0)
    optimiser: Literal["sgd", "adam", "adamw"] = setting("adam", "optimiser", "Training")
    lr: Number = setting(0.001, "learning rate", "Training", gt=0, allow_inf_nan=False)
    momentum: Number = setting(0.0, "momentum, for sgd", "Training", ge=0, lt=1)
    nesterov: Flag = setting(False, "Nesterov momentum, for sgd", "Training")
    weight_decay: Number = setting(0.0, "weight decay", "Training", ge=0, allow_inf_nan=False)
    seed: Count = setting(0, "seed of every random draw", "Training", ge=0, lt=2**63)
    device: str = setting(
        "auto", "device: cpu, cuda, cuda:1, xpu, mps, or auto (the first there is)", "Training"
    )
    threads: Count = setting(
        0, "CPU threads of torch; 0 takes torch's own choice", "Training", ge=0, le=1024
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
        None, "name of the run; none makes one from model, data set and lr", "Record"
    )
    tags: Pairs = setting({}, "tags of the run: name=value, with commas between", "Record")
    strict: Flag = setting(False, "exit code 1 if a picture or the model log failed", "Record")
    options: dict[str, Any] = Field({}, repr=False)

    @field_validator("device")
    @classmethod
    def _lower(cls, value: str) -> str:
        return value.lower()

    @field_validator("subset", mode="before")
    @classmethod
    def _subset(cls, value: object) -> str:
        text = as_text(value)
        if text == "all" or re.fullmatch(r"(random:)?0*[1-9]\d*", text):
            return text
        raise ValueError(f"expected all, a number of images, or random:NUMBER, got {text!r}")

    @field_validator("validation", mode="before")
    @classmethod
    def _validation(cls, value: object) -> str | float:
        if value in ("auto", "own", "test"):
            return str(value)
        try:
            fraction = convert(float, value)
        except ValueError:
            fraction = -1.0
        if 0 < fraction < 1:
            return float(fraction)
        raise ValueError(
            f"expected auto, own, test or a fraction between 0 and 1, got {as_text(value)!r}"
        )

    @field_validator("normalisation", mode="before")
    @classmethod
    def _normalisation(cls, value: object) -> str:
        text = as_text(value)
        if text in ("none", "dataset", "computed"):
            return text
        number = r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*"
        if re.fullmatch(f"{number}(,{number})*/{number}(,{number})*", text):
            if all(float(std) > 0 for std in text.partition("/")[2].split(",")):
                return text
            raise ValueError(f"expected standard deviations above 0, got {text!r}")
        raise ValueError(
            f"expected none, dataset, computed or MEAN/STD such as 0.1307/0.3081, got {text!r}"
        )

    @model_validator(mode="after")
    def _fits(self) -> Settings:
        if self.optimiser != "sgd" and (self.momentum or self.nesterov):
            raise ValueError(
                f"momentum and nesterov are options of optimiser sgd, not of {self.optimiser}"
            )
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0")
        return self

    @classmethod
    def parse(cls, values: Mapping[str, object]) -> Settings:
        """Returns the settings that dotted names and values, text or Python, stand for.

        `-` and `_` mean the same. Names with a dot are options of components; whether the
        component has them is seen when it is looked up.

        Raises:
            MlrunError: an unknown name or a wrong value, on one line.
        """
        core: dict[str, object] = {}
        options: dict[str, object] = {}
        for name, value in values.items():
            key = canonical(name)
            if "." in key:
                options[key] = value
            elif key in cls.model_fields and key != "options":
                core[key] = value
            else:
                raise unknown("setting", name, set(cls.model_fields) - {"options"})
        try:
            return cls.model_validate({**core, "options": options})
        except ValidationError as error:
            raise MlrunError(explain(error)) from None

    def flat(self) -> dict[str, object]:
        """Returns every setting, default or not, under its name; without the options."""
        return {name: getattr(self, name) for name in type(self).model_fields if name != "options"}


def canonical(name: str) -> str:
    """Returns a setting's or option's name as recipes and MLflow params write it."""
    return name.strip().replace("-", "_")


def names_of(value: object) -> tuple[str, ...]:
    """Returns names from a list or from text with commas; `none` and empty text are no names."""
    if isinstance(value, str):
        value = [] if value.strip().lower() in ("", "none") else value.split(",")
    if value is None:
        return ()
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"expected names with commas between, got {as_text(value)!r}")
    names = [item.strip() for item in value]
    if len(set(names)) != len(names) or "" in names:
        raise ValueError(f"expected different names with commas between, got {as_text(value)!r}")
    return tuple(names)


def pairs_of(value: object) -> dict[str, str]:
    """Returns a mapping from a mapping, or from text `name=value,name=value`."""
    if isinstance(value, str):
        entries = [entry for entry in value.split(",") if entry.strip()]
        if not all("=" in entry for entry in entries):
            raise ValueError(f"expected name=value, with commas between, got {value!r}")
        split = [entry.split("=", 1) for entry in entries]
        return {name.strip(): text.strip() for name, text in split}
    if not isinstance(value, Mapping):
        raise ValueError(f"expected name=value, with commas between, got {as_text(value)!r}")
    return {str(name): as_text(text) for name, text in value.items()}


def explain(error: ValidationError) -> str:
    """Returns the first thing that is wrong as one line that names the setting."""
    first = error.errors()[0]
    message = str(first["msg"]).removeprefix("Value error, ")
    if not first["loc"]:
        return message
    name = first["loc"][0]
    if first["type"] == "value_error":
        return f"{name}: {message}"
    if first["type"] == "literal_error":
        expected = str(first["ctx"]["expected"]).replace("'", "")
        return f"{name}: expected {expected}, got {as_text(first['input'])!r}"
    message = message.replace("Input should be a ", "expected a ")
    message = message.replace("Input should be ", "expected a value ")
    return f"{name}: {message}, got {as_text(first['input'])!r}"
