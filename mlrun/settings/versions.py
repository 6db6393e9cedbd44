"""The version of the settings, which each run keeps, and what those of older versions meant.

A change after which the same lines would mean something else makes a new version: a setting that
is renamed, removed or read in another way, or a new one whose default is not how it was before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlrun.errors import MlrunError
from mlrun.seam.conversion import as_text, convert

VERSION = 2
KEY = "settings_version"  # the line of a run's settings.yaml, or of a recipe, that holds it

Values = dict[str, Any]

# What brings settings of the version before to the version that is the key.
CHANGES: Mapping[int, Callable[[Values], Values]] = {
    2: lambda values: {"stratify": False, **values},  # version 1 drew all images alike
}

# Version 1 did not write its version, but every one of its settings; a recipe that somebody wrote
# does not have all of these.
ALL_OF_VERSION_1 = (
    *("plugin", "data_dir", "subset", "validation", "normalisation", "batch_size", "shuffle"),
    *("epochs", "schedule", "schedule_every", "seed", "threads", "keep", "monitor", "strict"),
    *("experiment", "run_name", "tags"),
)


def version_of(values: Mapping[str, object]) -> int:
    """Returns the version of settings, under their canonical names; today's where nothing says it.

    Raises:
        MlrunError: what stands under `settings_version` is no version.
    """
    if KEY not in values:
        return 1 if all(name in values for name in ALL_OF_VERSION_1) else VERSION
    try:
        version: int = convert(int, values[KEY])
    except ValueError:
        version = 0
    if version < 1:
        raise MlrunError(
            f"{KEY}: expected a whole number of at least 1, got {as_text(values[KEY])!r}"
        )
    return version


def brought_up(values: Mapping[str, object]) -> dict[str, object]:
    """Returns settings of their own version as today's, with the same meaning, without the version.

    Those of a later version stay as they are.

    Args:
        values: under their canonical names.
    """
    current = {name: value for name, value in values.items() if name != KEY}
    for version in range(version_of(values) + 1, VERSION + 1):
        current = CHANGES[version](current)
    return current


def check_known(values: Mapping[str, object]) -> None:
    """Raises MlrunError where settings are of a later version than this mlrun knows."""
    version = version_of(values)
    if version > VERSION:
        raise MlrunError(
            f"{KEY} {version} is of a later mlrun; this one knows versions to {VERSION}: upgrade "
            f"mlrun-vision, or leave the line out where every setting means the same here"
        )
