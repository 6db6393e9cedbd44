"""Recipes: YAML files of settings, shipped by name or given by path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from mlrun.errors import MlrunError, one_line, unknown
from mlrun.names import by_canonical_name, canonical
from mlrun.values import names_of

ABOUT = ("description", "source", "expect")


@dataclass(frozen=True)
class Recipe:
    """Settings by name, with what the file says about itself."""

    name: str
    path: Path
    values: dict[str, object]
    about: dict[str, str]


def folder() -> Path:
    """Returns where the shipped recipes lie: in the checkout, or in the installed package."""
    package = Path(__file__).resolve().parent
    in_checkout = package.parent / "recipes"
    return in_checkout if (package.parent / "pyproject.toml").is_file() else package / "recipes"


def names() -> list[str]:
    """Returns the names of the shipped recipes."""
    return sorted(path.stem for path in folder().glob("*.yaml"))


def load(name: str) -> Recipe:
    """Returns the shipped recipe of that name, or the one in the file `name` (`….yaml`).

    Raises:
        MlrunError: there is no such recipe, or the file is not a flat YAML mapping.
    """
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
        if not path.is_file():
            raise MlrunError(f"recipe {name}: no such file")
    elif name in names():
        path = folder() / f"{name}.yaml"
    else:
        raise unknown("recipe", name, names())
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        raise MlrunError(f"recipe {name}: {one_line(error)}") from None
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise MlrunError(f"recipe {name}: expected lines `name: value`, dotted names for options")
    about = {key: str(content.pop(key)) for key in ABOUT if key in content}
    try:
        values = by_canonical_name(content)
    except MlrunError as error:
        raise MlrunError(f"recipe {name}: {error}") from None
    return Recipe(path.stem, path, values, about)


def merge(recipe: Mapping[str, object], given: Mapping[str, object]) -> dict[str, object]:
    """Returns the recipe's settings with the given ones over them.

    A recipe's options of a component go when another component is given in its place:
    `model.dropout` of the recipe does not reach another `model`, and options of visualisers
    that are no longer asked for are left out.
    """
    merged = dict(recipe)
    for kind in ("model", "dataset"):
        if kind in given and given[kind] != recipe.get(kind):
            merged = {k: v for k, v in merged.items() if not k.startswith(f"{kind}.")}
    if "visualisers" in given:
        try:
            asked = names_of(given["visualisers"])
        except ValueError as error:
            raise MlrunError(f"visualisers: {error}") from None
        kept = {"model", "dataset", *map(canonical, asked)}
        merged = {k: v for k, v in merged.items() if "." not in k or k.partition(".")[0] in kept}
    return {**merged, **given}
