"""Options that several commands have, each declared once."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from mlrun.cli import completion
from mlrun.cli.arguments import SettingOption
from mlrun.settings import Settings
from mlrun.settings.record import LONGEST_WAIT


def plugin_option(group: str) -> SettingOption:
    """Returns the option for plugin files, besides those of the run that a command is about."""
    return SettingOption(
        ["--plugin", "plugins"],
        group=group,
        type=click.Path(path_type=Path),
        multiple=True,
        metavar="FILE",
        help="a plugin that is one Python file, such as the run's own; repeatable",
    )


def data_dir_option(group: str) -> SettingOption:
    """Returns the option for another data folder than that of the run."""
    return SettingOption(
        ["--data-dir"],
        group=group,
        type=click.Path(path_type=Path),
        metavar="PATH",
        help=f"{Settings.model_fields['data_dir'].description}  [the run's]",
    )


def device_option(group: str, default: str | None = None) -> SettingOption:
    """Returns the option for the device; without a default it is the run's."""
    description = str(Settings.model_fields["device"].description).removeprefix("device: ")
    unless_given = "the run's" if default is None else default
    return SettingOption(
        ["--device"],
        group=group,
        default=default,
        metavar="TEXT",
        shell_complete=completion.for_setting("device"),
        help=f"{description}  [{unless_given}]",
    )


def recipe_option(more: str = "") -> SettingOption:
    """Returns the option for what commands that train start from; `more` ends its help."""
    return SettingOption(
        ["--recipe"],
        group="Command",
        metavar="NAME",
        multiple=True,
        help=f"start from a recipe by name, or from a file of settings (….yaml){more}",
        shell_complete=completion.recipe_names,
    )


def flag_option(name: str, description: str) -> SettingOption:
    """Returns an option of commands that train, which takes true or false, as a recipe does."""
    return SettingOption(
        [f"--{name}", name.replace("-", "_")],
        group="Command",
        is_flag=False,
        flag_value="true",
        default="false",
        metavar="[true|false]",
        help=description,
    )


def quiet_option() -> SettingOption:
    """Returns the option that leaves out all but the most needed lines."""
    return flag_option("quiet", "print the run id, warnings and errors only")


class Seconds(click.FloatRange):
    """A number within bounds; click's own takes `nan` for one that is within any."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Returns the number, or fails as click does."""
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is no number", param, ctx)
        return number


def wait_option(when: str = "") -> click.Option:
    """Returns the option for how long a store that fails is tried; `when` comes before its help."""
    return click.Option(
        ["--wait"],
        type=Seconds(0, LONGEST_WAIT),
        default=Settings.model_fields["sync_wait"].default,
        metavar="SECONDS",
        show_default=True,
        help=f"{when}how long to try a store that fails",
    )


def page_options(file: str, log: str) -> list[click.Option]:
    """Returns the options of commands that make a page: `--output`, `--force` and `--log`.

    Args:
        file: the name of the page's file, unless another is given.
        log: what `--log` does.
    """
    return [
        click.Option(
            ["--output"],
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help=f"the file to write  [{file}, unless logged]",
            shell_complete=completion.paths("file"),
        ),
        click.Option(["--force"], is_flag=True, help="write over a file that is there"),
        click.Option(["--log"], is_flag=True, help=log),
    ]
