"""`mlrun report`: the page of one run, from its data in MLflow."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from mlrun.errors import MlrunError
from mlrun.finished.read import read_account
from mlrun.pages.report import report
from mlrun.record.logged import LoggedRun
from mlrun.record.trust import plugin_files_of
from mlrun.running.outputs import PAGE
from mlrun.settings.plan import plan_of


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
    """Returns the page of a run in any state.

    Raises:
        MlrunError: a file of it cannot be had or read.
    """
    with tempfile.TemporaryDirectory() as folder:
        account = replace(read_account(run, Path(folder)), defaults=defaults_of(run))
        return Report(report(account), run)


def defaults_of(run: LoggedRun) -> dict[str, str]:
    """Returns the defaults of the run's params; none if its plugins are not to be had."""
    try:
        plugin_files_of(run, ())
        return plan_of(run.settings).defaults()
    except MlrunError:
        return {}
