"""`mlrun sync`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mlrun.cli.shared_options import wait_option
from mlrun.errors import MlrunError
from mlrun.machine.interrupts import undisturbed

if TYPE_CHECKING:
    from mlrun.record.leftovers import Sent


@click.command(
    "sync",
    params=[click.Argument(["run_ids"], metavar="[RUN_ID]...", nargs=-1), wait_option()],
)
def command(run_ids: tuple[str, ...], wait: float) -> int:
    """Send what runs could not send to the tracking store, from this machine.

    RUN_ID is a run's id or a start of it; without one, all that is waiting is sent. A run keeps
    a journal of all that it logs in mlrun's state folder; what its store did not take before the
    run ended stays there until it does. Sending twice changes nothing. Exit code 1 if something
    is left.
    """
    with undisturbed():
        from mlrun.record.journal import InUse
        from mlrun.record.leftovers import send, unsent_runs

    complete = idle = True
    for folder in unsent_runs(run_ids):
        try:
            sent = send(folder, wait, say_trouble)
        except MlrunError as error:
            if run_ids or not isinstance(error, InUse):  # a run that lasts sends its own
                complete = idle = False
                click.echo(f"Warning: run {folder.name}: {error}", err=True)
            continue
        complete = complete and not sent.left
        if sent.sent or sent.left or sent.refused or run_ids:  # not of a run that was killed, again
            idle = False
            show(sent)
    if idle:
        click.echo("nothing is waiting to be sent", err=True)
    return 0 if complete else 1


def show(sent: Sent) -> None:
    """Prints what was sent of a run, and what is left."""
    left = f", {sent.left} are left ({sent.reason})" if sent.left else ", nothing is left"
    click.echo(f"run {sent.run.run_id} ({sent.run.name}): {sent.sent} events sent{left}")
    if sent.note:
        click.echo(f"run {sent.run.run_id}: {sent.note}", err=True)
    for name, reason in sent.refused.items():
        click.echo(f"Warning: {name} was refused: {reason}", err=True)


def say_trouble(reason: str) -> None:
    """Tells the user that the store fails; called from the sending thread."""
    click.echo(f"Warning: the tracking store fails, and is tried again ({reason})", err=True)
