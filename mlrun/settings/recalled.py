"""The settings that a run was made with, as far as this version of mlrun understands them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from mlrun.errors import MlrunError
from mlrun.settings.names import canonical
from mlrun.settings.run import RECALLED, Settings, setting_traits
from mlrun.settings.values import explain_each
from mlrun.settings.versions import KEY, VERSION, brought_up, version_of


@dataclass(frozen=True)
class Recalled:
    """Settings of a run, which another version of mlrun may have written.

    version: of the settings; it may be later than today's.
    settings: what is understood, with defaults in place of what is not.
    unknown: the lines that name no setting of today.
    faults: what is wrong with each of today's settings that is not understood, by its name.
    missing: those of them that are not there.
    """

    version: int
    settings: Settings
    unknown: Mapping[str, object]
    faults: Mapping[str, str]
    missing: Collection[str]

    @property
    def later(self) -> bool:
        """Whether a later mlrun wrote them than this one."""
        return self.version > VERSION

    def understood(self, *needed: str) -> Settings:
        """Returns the settings, of which those named are as the run had them.

        Raises:
            MlrunError: one of them is not there, or its value cannot be understood.
        """
        for name in needed:
            if name in self.faults:
                raise MlrunError(self.faults[name])
        return self.settings


def recall(values: Mapping[str, object]) -> Recalled:
    """Returns the settings that a run wrote under dotted names, in this version or another.

    Those without a version are of the first, which did not write it.

    Raises:
        MlrunError: what stands in place of their version is none.
    """
    written = {KEY: 1, **{canonical(name): value for name, value in values.items()}}
    known: dict[str, object] = {}
    options: dict[str, object] = {}
    unknown: dict[str, object] = {}
    for name, value in brought_up(written).items():
        of_today = options if "." in name else known if name in setting_traits() else unknown
        of_today[name] = value
    missing = [name for name in setting_traits() if name not in known]
    faults = {name: f"{name}: it is not there" for name in missing}
    try:
        settings = recalled({**known, "options": options})
    except ValidationError as error:
        wrong = explain_each(error)
        faults |= wrong
        right = {name: value for name, value in known.items() if name not in wrong}
        settings = recalled({**right, "options": options})
    return Recalled(version_of(written), settings, unknown, faults, missing)


def recalled(values: Mapping[str, object]) -> Settings:
    """Returns settings of which each is right by itself; raises ValidationError."""
    return Settings.model_validate(values, context=RECALLED)
