"""The options of `mlrun sweep` that `mlrun train` does not have."""

from __future__ import annotations

from typing import Any

import click

from mlrun.cli.arguments import SettingOption
from mlrun.cli.shared_options import Seconds
from mlrun.sweeps.request import TRIALS

GROUP = "Sweep"
MOST_MINUTES = 10**6
STORAGE = "MLRUN_SWEEP_STORAGE"


def sweep_options() -> list[click.Parameter]:
    """Returns the options that `mlrun train` does not have."""

    def option(*names: str, **attributes: Any) -> SettingOption:
        return SettingOption(list(names), group=GROUP, **attributes)

    return [
        option(
            "--search",
            metavar="NAME=SPEC",
            multiple=True,
            help="a setting or option to search: lr=log:1e-4..1e-1, epochs=2..20, "
            "momentum=0..0.9:0.1, model=lenet,cnn; repeatable",
        ),
        option(
            "--trials",
            type=click.IntRange(1),
            metavar="N",
            help=f"runs in all  [{TRIALS}; of a grid, all its points]",
        ),
        option(
            "--timeout",
            type=Seconds(0, MOST_MINUTES),
            default=0,
            metavar="MINUTES",
            help="minutes after which no trial is begun; the same command goes on later  [none]",
        ),
        option(
            "--workers",
            type=click.IntRange(1, 1024),
            default=1,
            metavar="K",
            help="processes on this machine that run trials  [1]",
        ),
        option(
            "--sampler",
            type=click.Choice(["tpe", "random", "grid"]),
            default="tpe",
            help="how values are drawn; a grid has all of them  [tpe]",
        ),
        option(
            "--pruner",
            type=click.Choice(["none", "median", "hyperband"]),
            default="none",
            help="which trials are stopped early, by the monitored metric of each epoch  [none]",
        ),
        option(
            "--direction",
            type=click.Choice(["minimise", "maximise"]),
            help="which value of the monitored metric is the better one  [the lower loss, the "
            "higher accuracy]",
        ),
        option(
            "--register",
            metavar="NAME",
            help="register the best run's model under this name, with the alias champion",
        ),
        option(
            "--study",
            metavar="NAME",
            help="name of the study; one that is there goes on  [by all that is asked for]",
        ),
        option(
            "--storage",
            metavar="URL",
            envvar=STORAGE,
            help="database of the study: sqlite:///FILE, postgresql://HOST/DATABASE, not MLflow's "
            "own  [a file beside a local store, else in MLRUN_HOME]",
        ),
        option(
            "--join",
            metavar="STUDY",
            help="add workers to a sweep that is going on, with --workers, --storage, --timeout, "
            "--data-dir, --device, --plugin",
        ),
    ]
