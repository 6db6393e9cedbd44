"""The plan of a finished run, made again; what its settings name elsewhere is not trusted."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mlrun.errors import MlrunError
from mlrun.record.experiments import own_id
from mlrun.record.logged import LoggedRun, ill_settings
from mlrun.record.lookup import answering
from mlrun.record.trust import (
    data_folder,
    leads_away,
    named_here,
    options_of_run,
    plugin_files_of,
    without_downloads,
)
from mlrun.seam.components import NoComponent
from mlrun.seam.files import fault_of_file
from mlrun.settings import Settings
from mlrun.settings.names import canonical
from mlrun.settings.option_values import prefixed
from mlrun.settings.plan import Plan, make_plan
from mlrun.settings.values import PHOTOGRAPHS
from mlrun.settings.versions import VERSION

LOG = logging.getLogger("mlrun.record")


def plan_again(
    run: LoggedRun,
    *,
    plugins: Sequence[Path] = (),
    data_dir: Path | None = None,
    device: str | None = None,
    options: Mapping[str, object] | None = None,
) -> Plan:
    """Returns the plan of a run, in the run's experiment.

    Args:
        run: as it is in the store.
        plugins: files that are plugins, which the user names; see `plugin_files_of`.
        data_dir: the folder that data sets are read from; None is the run's.
        device: None is the run's.
        options: of components, under their dotted names, over those of the run.

    Raises:
        MlrunError: its settings are not understood here, a plugin of it is not here or not
            trusted, or it names a path that is neither trusted nor given.
    """
    settings = settings_of(run)
    new_options = {canonical(name): value for name, value in (options or {}).items()}
    changed = {
        "plugin": tuple(map(str, plugin_files_of(run, plugins))),
        "data_dir": data_folder(run, data_dir),
        "device": (device or settings.device).lower(),
        "probe": probe_of(run, settings),
        "experiment": experiment_of(run, settings),
        "options": {**without_downloads(run, settings.options), **new_options},
    }
    try:
        plan = make_plan(settings.model_copy(update=changed))
    except MlrunError as error:
        raise MlrunError(f"run {run.run_id}: {error}{origin(run, error)}") from error
    for configured in plan.components:
        prefix = canonical(configured.prefix)
        options_of_run(run, prefix, configured.component, prefixed(prefix, new_options))
    return replace(plan, recipe_name=run.tags.get("mlrun.recipe", ""))


def experiment_of(run: LoggedRun, settings: Settings) -> str | None:
    """Returns the name of the experiment that a run is in; None for MLflow's own, as it had it."""
    with answering():
        if settings.experiment is None and own_id() == run.experiment_id:
            return None
        name: str = run.client.get_experiment(run.experiment_id).name
        return name


def origin(run: LoggedRun, error: MlrunError) -> str:
    """Returns where a component came from that there is none of now, for behind the message."""
    tag = run.tags.get(f"mlrun.{error.kind}", "") if isinstance(error, NoComponent) else ""
    return f"; the run had {tag}" if tag else ""


def settings_of(run: LoggedRun) -> Settings:
    """Returns the settings of a run, each as the run had it.

    Those of a version that did not have one yet get its default, which is how it was then.

    Raises:
        MlrunError: one is not understood here, or is not there although the run had it.
    """
    recalled = run.recalled
    if recalled.later:
        raise MlrunError(
            f"run {run.run_id} was made by a later mlrun (settings_version {recalled.version}; "
            f"this one knows {VERSION}); upgrade mlrun-vision"
        )
    for name in recalled.unknown:
        raise ill_settings(
            run.run_id,
            f"{name}: there is no such setting; mlrun {run.tags['mlrun.version']} made the run",
        )
    for name, fault in recalled.faults.items():
        if name not in recalled.missing or name in run.params:
            raise ill_settings(run.run_id, fault)
    return recalled.settings


def probe_of(run: LoggedRun, settings: Settings) -> str | None:
    """Returns the probe image of a run; none in place of a file that is gone or not trusted.

    Nothing is trained on it.
    """
    probe = settings.probe
    if probe is None or probe in PHOTOGRAPHS:
        return probe
    foreign = leads_away(probe) and not named_here(run, "probe", probe)
    fault = "the run was not started here" if foreign else fault_of_file(Path(probe))
    if fault:
        LOG.warning("probe %s is left out: %s", probe, fault)
    return None if fault else probe
