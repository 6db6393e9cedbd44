"""Everything before a run is opened, which a run and a dry run do alike."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from mlrun.inside.layers import layer_table
from mlrun.plan import Plan
from mlrun.preparation import Prepared, prepare
from mlrun.progress import Progress
from mlrun.threads import use_threads
from mlrun.training import devices


@contextmanager
def ready(plan: Plan, progress: Progress | None = None) -> Iterator[Prepared]:
    """Loads the data and builds the model on the plan's device; torch is set up for the run.

    Afterwards torch is as it was.

    Raises:
        MlrunError: the device, the data or the model cannot be had, or do not fit.
    """
    if progress is not None:
        for text in plan.registry.complaints():
            progress.warn(text)
    settings = plan.settings
    device = devices.resolve(settings.device)
    with devices.settings_of_a_run(device, settings.threads, deterministic=settings.deterministic):
        prepared = prepare(plan, device)
        use_threads(settings, prepared.model, prepared.data.shape, device)
        with old_objects_left_alone():
            yield prepared


@contextmanager
def old_objects_left_alone() -> Iterator[None]:
    """Has Python look for garbage only among what is made inside.

    Torch and MLflow are a million objects that stay: to look at all of them takes 0.2 s, and
    training waits. Who has frozen objects already knows what is looked at.
    """
    if gc.get_freeze_count():
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def dry_run(plan: Plan, progress: Progress | None = None) -> str:
    """Returns the resolved settings as a recipe, with the table of layers as comments below.

    Everything that can be wrong before a run is opened is found out, except for what takes the
    tracking store: it is not touched, so `init_from` is not looked up.

    Raises:
        MlrunError: as for a run.
    """
    with ready(plan, progress) as prepared:
        table = layer_table(prepared.model, prepared.data.shape, prepared.device)
    comments = (f"# {line}".rstrip() for line in table.splitlines())
    return "\n".join([plan.recipe(), *comments, ""])
