"""Which component of a run an error came out of, by the files of its plugin."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from traceback import walk_tb

from mlrun.errors import MlrunError, is_raised, would_end
from mlrun.settings.option_values import ConfiguredComponent
from mlrun.settings.plan import Plan

NAMES = {"model": "model", "dataset": "data set", "visualiser": "visualiser"}


def with_name(error: BaseException, plan: Plan) -> BaseException:
    """Returns an error that came out of a run; one by which a plugin would end the process, named.

    An interrupt that a signal asked for, or the caller, stays as it is.
    """
    if isinstance(error, Exception) or (
        isinstance(error, KeyboardInterrupt) and not is_raised(error)
    ):
        return error
    who = blamed(error, plan)
    return MlrunError(f"{who}: {would_end(error)}") if who else error


def blamed(error: BaseException, plan: Plan) -> str:
    """Returns the component whose code was being run, `model lenet`; empty where it was none's."""
    files = [Path(frame.f_code.co_filename) for frame, _ in walk_tb(error.__traceback__)]
    for file in reversed(files):
        for one in plan.components:
            if file.is_relative_to(place_of(one)):
                return f"{NAMES[one.component.kind]} {one.component.name}"
    return ""


def place_of(configured: ConfiguredComponent) -> Path:
    """Returns the package of a component's plugin, or its file where that is all there is."""
    function = inspect.unwrap(configured.component.function)
    package = sys.modules.get(function.__module__.partition(".")[0])
    for folder in getattr(package, "__path__", ()):
        return Path(folder)
    return Path(inspect.getsourcefile(function) or function.__module__)
