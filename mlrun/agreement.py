"""Settings that do not go together."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlrun.settings import Settings

SCHEDULE_OPTIONS = {
    "schedule_every": ("step",),
    "schedule_factor": ("step", "plateau"),
    "schedule_patience": ("plateau",),
}


def check_agreement(settings: Settings) -> None:
    """Raises ValueError where one setting means nothing, or the wrong thing, beside another."""
    if settings.momentum and settings.optimiser not in ("sgd", "rmsprop"):
        raise ValueError(
            f"momentum is an option of optimiser sgd and rmsprop, not of {settings.optimiser}"
        )
    if settings.nesterov and settings.optimiser != "sgd":
        raise ValueError(f"nesterov is an option of optimiser sgd, not of {settings.optimiser}")
    if settings.nesterov and not settings.momentum:
        raise ValueError("nesterov needs a momentum above 0")
    for name, schedules in SCHEDULE_OPTIONS.items():
        given = getattr(settings, name)
        if given != type(settings).model_fields[name].default and (
            settings.schedule not in schedules
        ):
            raise ValueError(
                f"{name} is an option of schedule {' and '.join(schedules)}, not of "
                f"{settings.schedule}"
            )
    if settings.warmup_epochs and settings.schedule == "one-cycle":
        raise ValueError("warmup_epochs does not go with schedule one-cycle, which warms up itself")
