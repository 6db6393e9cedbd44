"""`mlrun evaluate`."""

from __future__ import annotations

from typing import Any

import click

from mlrun.cli import completion
from mlrun.cli.arguments import (
    DATASET_HELP,
    START_HELP,
    DottedCommand,
    SettingOption,
    options_of,
)
from mlrun.cli.display import listen
from mlrun.cli.shared_options import data_dir_option, device_option, plugin_option
from mlrun.cli.terminal import echo
from mlrun.errors import MlrunError
from mlrun.machine.interrupts import undisturbed


class EvaluateCommand(DottedCommand):
    """Takes the options of a data set as `--dataset.NAME VALUE`, and of the run's model."""

    dotted_help = (DATASET_HELP, START_HELP)


def number(name: str, about: str) -> SettingOption:
    """Returns an option for one number of a variant."""
    return SettingOption(
        [f"--{name}"], group="Changed images", type=float, metavar="X", default=0.0, help=about
    )


@click.command(
    "evaluate",
    cls=EvaluateCommand,
    params=[
        click.Argument(["run_id"], metavar="RUN_ID"),
        number("rotate", "degrees; each image by an angle drawn from ±X"),
        number("noise", "standard deviation of Gaussian noise, pixels as 0–1"),
        number("blur", "standard deviation of a Gaussian blur, in pixels"),
        number("shift", "pixels; each image along each axis by an amount drawn from ±X"),
        SettingOption(
            ["--seed"],
            group="Changed images",
            type=click.IntRange(0, 2**63 - 1),
            metavar="N",
            help="seed of these draws  [the run's]",
        ),
        SettingOption(
            ["--part"],
            group="Data",
            type=click.Choice(["test", "val", "train"]),
            default="test",
            help="part of the data set  [test]",
        ),
        SettingOption(
            ["--dataset"],
            group="Data",
            metavar="NAME",
            help="another data set with the same classes  [the run's]",
            shell_complete=completion.of_kind("dataset"),
        ),
        plugin_option("Data"),
        data_dir_option("Data"),
        SettingOption(
            ["--name"],
            group="Command",
            help="what the figures are logged under  [made of part, data set and change]",
        ),
        device_option("Command", "auto"),
    ],
)
@click.pass_context
def command(ctx: click.Context, /, run_id: str, **values: Any) -> None:
    """Evaluate a run's best weights, and log the figures to that run.

    RUN_ID is the run's id or a unique start of it. Without options it is the test part of the
    run's own data set. What is logged already is printed again and not logged twice.
    """
    options = options_of(ctx, ("dataset", "model"))
    values |= {"options": options["dataset"], "model_options": options["model"]}
    listen(quiet=False)
    with undisturbed():
        from mlrun.finished.evaluate import EvaluationRequest, evaluate
        from mlrun.settings.changes import Variant
    try:
        variant = Variant(
            **{name: values.pop(name) for name in ("rotate", "noise", "blur", "shift")}
        )
    except ValueError as error:
        raise MlrunError(str(error)) from None
    result = evaluate(run_id, EvaluationRequest(variant=variant, **values))
    if not result.fresh:
        echo(f"{result.name}/accuracy is there already", err=True)
    if result.why_not:
        echo(f"not logged: {result.why_not}", err=True)
    echo(f"{result.name}: loss {result.loss:.4f}, accuracy {result.accuracy:.4f}")
    echo(f"this run: {result.link}", err=True)
