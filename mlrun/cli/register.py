"""`mlrun register`."""

from __future__ import annotations

import click

from mlrun.cli.display import listen
from mlrun.cli.terminal import echo
from mlrun.machine.interrupts import undisturbed


@click.command(
    "register",
    params=[
        click.Argument(["run_id"], metavar="RUN_ID"),
        click.Argument(["name"], metavar="NAME"),
        click.Option(["--alias"], default="", help="name of this version, champion say"),
    ],
)
def command(run_id: str, name: str, alias: str) -> None:
    """Register a run's servable model in MLflow's model registry.

    RUN_ID is the run's id or a unique start of it. NAME is that of the registered model, of which
    this becomes a new version; the same run is registered once under a name. An alias goes from
    the version that had it to this one. The last line is the model's address.
    """
    listen(quiet=False)
    with undisturbed():
        from mlrun.finished.register import register

    made = register(run_id, name, alias)
    what = "registered as" if made.is_new else "is there already:"
    echo(f"run {made.run_id} {what} version {made.version} of {made.name}", err=True)
    echo(f"serve it with: mlflow models serve -m {made.address} --env-manager local", err=True)
    click.echo(made.address)
