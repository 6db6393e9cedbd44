"""`mlrun resume`."""

from __future__ import annotations

from pathlib import Path

import click

from mlrun.cli.arguments import (
    ELSEWHERE_HELP,
    DottedCommand,
    SettingOption,
    split_dotted,
)
from mlrun.cli.processes import TAKES_PART
from mlrun.cli.several import go_on
from mlrun.cli.shared_options import data_dir_option, device_option, plugin_option, quiet_option
from mlrun.cli.train import flag, show
from mlrun.errors import MlrunError
from mlrun.machine.interrupts import undisturbed
from mlrun.machine.place import place_here
from mlrun.settings import Settings
from mlrun.settings.run import setting_traits

ELSEWHERE = "What lies elsewhere now"  # the heading in the help
LENGTHS = {
    "epochs": "epochs in all",
    "steps": "optimiser steps in all, whatever the epochs",
    "time-limit": "minutes of training in all; 0 for any",
}


class ResumeCommand(DottedCommand):
    """Takes options of the run's components; of the settings only those that a run may change."""

    dotted_help = (ELSEWHERE_HELP,)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuses a setting that a run goes on with as it is."""
        own = {name for param in self.params for name in param.opts}
        for arg in split_dotted(args)[1]:
            name = arg.partition("=")[0]
            if name not in own and name.removeprefix("--").replace("-", "_") in setting_traits():
                raise MlrunError(
                    f"{name}: a run goes on with the settings that it has; for another value start "
                    "a run from its weights: mlrun train --init-from RUN_ID"
                )
        return super().parse_args(ctx, args)


@click.command(
    "resume",
    cls=ResumeCommand,
    params=[
        click.Argument(["run_id"], metavar="RUN_ID"),
        *(
            SettingOption(
                [f"--{name}"], group="A finished run, for longer", metavar="N", help=about
            )
            for name, about in LENGTHS.items()
        ),
        plugin_option(ELSEWHERE),
        data_dir_option(ELSEWHERE),
        device_option(ELSEWHERE),
        SettingOption(
            ["--processes"],
            group=ELSEWHERE,
            metavar="N",
            help="processes that train it together on this machine; by default as many as it had",
        ),
        SettingOption(
            ["--gone"],
            group="Command",
            is_flag=True,
            help="go on also where nobody here can tell whether the run's process, on another "
            "machine, is gone",
        ),
        quiet_option(),
    ],
    epilog="The last line on stdout is the run id; everything else goes to stderr.",
)
@click.pass_context
def command(
    ctx: click.Context,
    /,
    run_id: str,
    epochs: str | None,
    steps: str | None,
    time_limit: str | None,
    plugins: tuple[Path, ...],
    data_dir: Path | None,
    device: str | None,
    processes: str | None,
    gone: bool,
    quiet: str,
) -> int:
    """Go on with a run that was killed, interrupted or failed, in the same MLflow run.

    RUN_ID is the run's id or a unique start of it. The run goes on from the last state that was
    saved, here or in MLflow, with the settings that it has, and comes on the same machine to the
    weights and figures that it would have come to.

    A run that is finished goes on for longer, with --epochs, --steps or --time-limit, as a new run
    that starts from its last state.

    The parent of several runs (--seeds, --folds) goes on with those that are not finished.
    """
    if place_here().rank:
        return TAKES_PART
    from mlrun.cli.display import listen, progress_for

    silent = flag("quiet", quiet)
    listen(quiet=silent)
    progress = progress_for(quiet=silent)
    with undisturbed():
        from mlrun.finished.resume import resume
        from mlrun.sweeps.going_on import Again, parent_of_several

    lengths = {"epochs": epochs, "steps": steps, "time_limit": time_limit}
    longer = {name: value for name, value in lengths.items() if value is not None}
    options = ctx.meta["mlrun.options"]
    parent = parent_of_several(run_id)
    if parent is not None:
        if longer or processes is not None:
            raise MlrunError(
                f"run {parent.run_id} is the parent of several runs; they go on as they are, leave "
                "lengths and processes out"
            )
        return go_on(parent, Again(tuple(plugins), data_dir, device, options, gone), progress)
    result = resume(
        run_id,
        longer=longer,
        gone=gone,
        plugins=plugins,
        data_dir=data_dir,
        device=device,
        options=options,
        processes=None if processes is None else Settings.parse({"processes": processes}).processes,
        progress=progress,
    )
    return show(result, progress)
