"""`mlrun report`: the page of one run, from its data in MLflow."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from mlrun.errors import MlrunError
from mlrun.finished.read import read_account
from mlrun.pages.report import report
from mlrun.record.logged import LoggedRun
from mlrun.record.trust import plugin_files_of
from mlrun.running.outputs import PAGE
from mlrun.seam.components import Kind
from mlrun.seam.registry import discover
from mlrun.settings.option_values import prefix_of
from mlrun.settings.plan import defaults
from mlrun.settings.run import component_settings
from mlrun.settings.values import names_of


@dataclass(frozen=True)
class Report:
    """The page of a run, and the run."""

    page: str
    run: LoggedRun

    def log(self) -> str:
        """Logs the page to the run, over the one that it has; returns its address in MLflow."""
        self.run.add({}, step=0, tags={}, files={PAGE: self.page.encode()})
        return f"{self.run.link}/artifacts/{PAGE}"


def make_report(run: LoggedRun) -> Report:
    """Returns the page of a run in any state; of what cannot be read, it and the log say why.

    Raises:
        MlrunError: the store does not answer.
    """
    with tempfile.TemporaryDirectory() as folder:
        account = replace(read_account(run, Path(folder)), defaults=defaults_of(run))
        return Report(report(account), run)


def defaults_of(run: LoggedRun) -> dict[str, str]:
    """Returns the defaults of the run's params; not those of components that are not installed."""
    try:
        registry = discover(plugin_files_of(run, ()))
    except MlrunError:
        registry = discover()
    components = {}
    for prefix, kind, name in components_of(run):
        with suppress(MlrunError):
            components[prefix] = registry.find(kind, name)
    return defaults(components)


def components_of(run: LoggedRun) -> Iterator[tuple[str, Kind, str]]:
    """Yields prefix, kind and name of each component that the run's params name."""
    for setting, kind in component_settings().items():
        text = run.params.get(setting, "none")
        with suppress(ValueError):
            for name in names_of(text):
                yield prefix_of(name) if kind == "visualiser" else setting, kind, name
