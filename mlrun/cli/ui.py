"""`mlrun ui`."""

from __future__ import annotations

import sys

import click


@click.command("ui")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=5000,
    show_default=True,
    help="port on 127.0.0.1; the next free one is taken if it is in use",
)
@click.option("--experiment", metavar="NAME", help="experiment to open; MLflow's own by default")
@click.option(
    "--open/--no-open",
    "open_page",
    default=None,
    help="open the page in a browser; by default on a terminal",
)
def command(port: int, experiment: str | None, open_page: bool | None) -> None:
    """Start MLflow's UI on the store in use, on 127.0.0.1, and print the right link.

    It ends with Ctrl-C. Where the store is a server, its UI is there already, and only the
    link is printed.
    """
    from mlrun.record.ui import serve

    def ready(link: str) -> None:
        click.echo(link)
        interactive = sys.stdout.isatty()
        if interactive if open_page is None else open_page:
            click.launch(link)

    serve(port=port, experiment=experiment, ready=ready)
