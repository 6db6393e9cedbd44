"""`mlrun recipes`."""

from __future__ import annotations

from collections.abc import Iterable

import click

from mlrun.cli import completion
from mlrun.cli.terminal import as_json, echo
from mlrun.errors import MlrunError
from mlrun.settings import recipes
from mlrun.settings.plan import plan_of
from mlrun.settings.recipes import ABOUT, Recipe, RecipeError


@click.command("recipes")
@click.argument("name", required=False, shell_complete=completion.recipe_names)
@click.option("--json", "json_asked", is_flag=True, help="print JSON")
def command(name: str | None, json_asked: bool) -> None:
    """List the recipes, or show the one called NAME, or in the file NAME, as a recipe file.

    What is shown is whole: the settings of the recipe it is based on are merged in.
    """
    if name is not None:
        recipe = checked(name)
        echo(json_of(as_dict(recipe)) if json_asked else recipe.text(), nl=json_asked)
        return
    valid, broken = all_shipped()
    if json_asked:
        echo(json_of({"recipes": [as_dict(recipe) for recipe in valid], "broken": broken}))
    else:
        echo(listing(valid, broken), nl=False)


def checked(name: str) -> Recipe:
    """Returns a recipe that can be run.

    Raises:
        MlrunError: there is none of that name, or something in it is wrong.
    """
    recipe = recipes.load(name)
    plan_of({"recipe": name}, searched=True)
    return recipe


def all_shipped() -> tuple[list[Recipe], list[dict[str, str]]]:
    """Returns the shipped recipes that can be run, and names and reasons of those that cannot."""
    valid, broken = [], []
    for name in recipes.names():
        try:
            valid.append(checked(name))
        except MlrunError as error:
            reason = error.reason if isinstance(error, RecipeError) else str(error)
            broken.append({"name": name, "reason": reason})
    return valid, broken


def listing(valid: Iterable[Recipe], broken: list[dict[str, str]]) -> str:
    """Returns the names with the first sentences of their descriptions, then the broken recipes."""
    formatter = click.HelpFormatter(width=100)
    formatter.write_dl([(recipe.name, recipe.summary) for recipe in valid])
    if broken:
        with formatter.section("Broken"):
            formatter.write_dl([(entry["name"], entry["reason"]) for entry in broken])
    return formatter.getvalue().lstrip("\n")


def as_dict(recipe: Recipe) -> dict[str, object]:
    """Returns a recipe as plain values."""
    about = {key: recipe.about.get(key, "") for key in ABOUT}
    search = {"search": recipe.search} if recipe.search else {}
    settings = {"settings": recipe.values, **search}
    return {"name": recipe.name, **about, **settings, "file": str(recipe.path)}


def json_of(content: object) -> str:
    """Returns JSON; a date, which YAML knows, as text."""
    return as_json(content, indent=2, default=str)
