"""The settings of one run."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from mlrun.errors import MlrunError, unknown
from mlrun.seam.components import Kind
from mlrun.seam.conversion import NO_TEXT, is_blank, is_text
from mlrun.settings.augmentation import AugmentationSettings, MixingSettings
from mlrun.settings.data import DataSettings
from mlrun.settings.fields import PLAIN, Traits, traits_of_field
from mlrun.settings.machine import MachineSettings
from mlrun.settings.names import by_canonical_name
from mlrun.settings.record import RecordSettings
from mlrun.settings.training import TrainingSettings
from mlrun.settings.values import explain
from mlrun.settings.versions import brought_up, check_known

RECALLED = "recalled"  # the context of settings that a run had: whether they agree was seen then


class Settings(
    RecordSettings,
    MachineSettings,
    TrainingSettings,
    MixingSettings,
    AugmentationSettings,
    DataSettings,
):
    """The settings of one run; immutable, checked when made.

    They come in the order of the groups from the last to the first: data, augmentation, training,
    machine, record. `options` holds the options of components under their dotted names:
    `{"model.dropout": 0.2, "weights.cmap": "magma"}`.
    """

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

    @classmethod
    def parse(cls, values: Mapping[str, object]) -> Settings:
        """Returns the settings that dotted names and values, text or Python, stand for.

        `-` and `_` mean the same, and so do the names in `SPELLINGS`. Names with a dot are
        options of components; whether the component has them is seen when it is looked up.
        Settings of an older version, as a run keeps them, mean what they meant then.

        Raises:
            MlrunError: an unknown name, a wrong value or a later version, on one line.
        """
        by_name = by_canonical_name(values)
        check_known(by_name)
        core: dict[str, object] = {}
        options: dict[str, object] = {}
        for key, value in brought_up(by_name).items():
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
