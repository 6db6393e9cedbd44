"""Recipes: YAML files of settings, shipped by name or given by path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

from mlrun.errors import MlrunError, unknown
from mlrun.seam.files import fault_of_file
from mlrun.settings import Settings
from mlrun.settings.names import by_canonical_name, canonical
from mlrun.settings.plain_yaml import Folded, as_yaml, read_mapping
from mlrun.settings.run import component_settings
from mlrun.settings.values import names_of
from mlrun.settings.versions import KEY, VERSION, brought_up, check_known, version_of

ABOUT = ("description", "source", "expect")
SEARCH = "search"  # the key of what a sweep tries: a mapping by name of the setting


class RecipeError(MlrunError):
    """Something in a recipe is wrong; `reason` says what, without the recipe's name."""

    def __init__(self, name: str, reason: object) -> None:
        super().__init__(f"recipe {name}: {reason}")
        self.reason = str(reason)


@dataclass(frozen=True)
class Recipe:
    """Settings by name, with what the file says about itself.

    name: as it was asked for: a shipped recipe's name, or a file's path.
    path: where the file is.
    values: settings and options by name, over those of the recipe it is based on.
    about: any of `description`, `source` and `expect`, texts for people.
    search: what a sweep tries, by name of the setting; empty of a recipe of one run.
    """

    name: str
    path: Path
    values: dict[str, object]
    about: dict[str, str]
    search: dict[str, object] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """The first sentence of the description."""
        return first_sentence(self.about.get("description", ""))

    def text(self) -> str:
        """Returns a recipe, YAML, that means the same and needs no other."""
        about = {key: Folded(text) for key, text in self.about.items() if text}
        version = {} if version_of(self.values) == VERSION else {KEY: VERSION}
        search = {SEARCH: self.search} if self.search else {}
        return as_yaml({**about, **version, **self.values, **search})


def folder() -> Path:
    """Returns where the shipped recipes lie: in the checkout, or in the installed package."""
    package = Path(__file__).resolve().parents[1]
    in_checkout = package.parent / "recipes"
    return in_checkout if (package.parent / "pyproject.toml").is_file() else package / "recipes"


def names() -> list[str]:
    """Returns the names of the shipped recipes."""
    return sorted(path.stem for path in folder().glob("*.yaml"))


def load(name: str) -> Recipe:
    """Returns the shipped recipe of that name, or the one in the file `name` (`….yaml`).

    Its `base`, another shipped recipe or a file beside it, is merged in.

    Raises:
        MlrunError: there is no such recipe, a file is not a flat YAML mapping, or a recipe is
            based on itself.
    """
    path = find(name, Path())
    values, about = read(name, path)
    chain, layers = [path], [values]
    while (base := layers[-1].pop("base", None)) is not None:
        if not isinstance(base, str):
            raise RecipeError(name, f"base: expected the name of a recipe, got {base!r}")
        path = find(base, path.parent, based=name)
        if path in chain:
            circle = " → ".join(link.name for link in [*chain[chain.index(path) :], path])
            raise RecipeError(name, f"base: {circle} goes in a circle")
        chain.append(path)
        layers.append(read(name, path, f"base {base}: ")[0])
    search: dict[str, Any] = {}
    for layer in reversed(layers):
        found = layer.pop(SEARCH, {})
        assert isinstance(found, dict)  # as `read` has seen
        search |= found
    try:
        values = reduce(merge, reversed(layers))
    except MlrunError as error:
        raise RecipeError(name, error) from None
    return Recipe(name, chain[0], values, about, search)


def find(name: str, beside: Path, *, based: str | None = None) -> Path:
    """Returns the file of a shipped recipe, or of a path (`….yaml`), relative to `beside`.

    `based` is the recipe whose base it is, if it is one.
    """
    if name.endswith((".yaml", ".yml")):
        path = beside / name
        fault = fault_of_file(path)
        if not fault:
            return path.resolve()
        if based is None:
            raise RecipeError(name, fault)
        raise RecipeError(based, f"base {name}: {fault} in {path.parent}")
    if name.replace("_", "-") in names():
        return (folder() / f"{name.replace('_', '-')}.yaml").resolve()
    error = unknown("recipe", name, names())
    raise error if based is None else RecipeError(based, f"base: {error}")


def read(name: str, path: Path, base: str = "") -> tuple[dict[str, object], dict[str, str]]:
    """Returns the settings in the file `path`, and what it says of itself.

    Raises:
        RecipeError: it is no flat YAML mapping; the recipe is called `name`, and what is wrong
            in one that it is based on begins with `base`.
    """
    try:
        content = read_mapping(path)
    except MlrunError as error:
        raise RecipeError(name, f"{base}{error}") from None
    about = {}
    for key in ABOUT:
        text = content.pop(key, None)
        if isinstance(text, dict | list):
            raise RecipeError(name, f"{base}{key}: expected a text")
        if text is not None:
            about[key] = "\n".join(line.rstrip() for line in str(text).strip().splitlines())
    search = content.pop(SEARCH, None) or {}
    if not isinstance(search, dict):
        raise RecipeError(name, f"{base}{SEARCH}: expected lines `name: values`, one a setting")
    try:
        values = by_canonical_name(content)
        check_known(values)
        return {**brought_up(values), SEARCH: by_canonical_name(search)}, about
    except MlrunError as error:
        raise RecipeError(name, f"{base}{error}") from None


def merge(recipe: Mapping[str, object], overrides: Mapping[str, object]) -> dict[str, object]:
    """Returns the recipe's settings with the given ones over them.

    A recipe's options of a component go when another component is given in its place:
    `model.dropout` of the recipe does not reach another `model`, and options of visualisers
    that are no longer asked for are left out.
    """
    merged = dict(recipe)
    single = [name for name, kind in component_settings().items() if kind != "visualiser"]
    for name in single:
        before = recipe.get(name, Settings.model_fields[name].default)
        if name in overrides and canonical(str(overrides[name])) != canonical(str(before)):
            merged = {k: v for k, v in merged.items() if not k.startswith(f"{name}.")}
    if "visualisers" in overrides:
        try:
            asked = names_of(overrides["visualisers"])
        except ValueError as error:
            raise MlrunError(f"visualisers: {error}") from None
        kept = {*single, *map(canonical, asked)}
        merged = {k: v for k, v in merged.items() if "." not in k or k.partition(".")[0] in kept}
    return {**merged, **overrides}


def first_sentence(text: str) -> str:
    """Returns what stands before the first stop that a capital letter follows, on one line.

    >>> first_sentence("LeNet, after Y. LeCun et al. (1998), on MNIST. Ten epochs.")
    'LeNet, after Y. LeCun et al. (1998), on MNIST.'
    """
    line = " ".join(text.split())
    return re.split(r"(?<=[.!?])(?<!\b[A-Z]\.) (?=[A-Z])", line, maxsplit=1)[0]
