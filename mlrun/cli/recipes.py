"""`mlrun recipes`."""

from __future__ import annotations

import click

from mlrun import recipes
from mlrun.cli import completion


@click.command("recipes")
@click.argument("name", required=False, shell_complete=completion.recipe_names)
def command(name: str | None) -> None:
    """List the recipes, or show the one called NAME."""
    if name is not None:
        click.echo(recipes.load(name).path.read_text(encoding="utf-8"), nl=False)
        return
    formatter = click.HelpFormatter(width=100)
    formatter.write_dl(
        [(name, recipes.load(name).about.get("description", "")) for name in recipes.names()]
    )
    click.echo(formatter.getvalue(), nl=False)
