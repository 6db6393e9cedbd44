"""The plan of a run: its settings, with components looked up and options resolved."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mlrun.errors import MlrunError
from mlrun.seam.components import Component
from mlrun.seam.conversion import as_text, is_text
from mlrun.seam.files import at_home
from mlrun.seam.registry import Registry, discover
from mlrun.settings import Settings, recipes
from mlrun.settings.file_lists import files_of
from mlrun.settings.names import by_canonical_name, canonical
from mlrun.settings.option_values import (
    ConfiguredComponent,
    brief,
    group_options,
    prefix_of,
    resolve,
    shorten,
)
from mlrun.settings.plain_yaml import as_yaml, plain_of
from mlrun.settings.recipes import Recipe, RecipeError
from mlrun.settings.versions import KEY, VERSION

LONGEST_NAME = 200  # characters


@dataclass(frozen=True)
class Plan:
    """Settings with the components that they name, and the value of every option.

    recipe_name: of the recipe that they start from; empty for none.
    """

    settings: Settings
    registry: Registry
    model: ConfiguredComponent
    dataset: ConfiguredComponent
    visualisers: tuple[ConfiguredComponent, ...]
    recipe_name: str = ""

    @property
    def components(self) -> tuple[ConfiguredComponent, ...]:
        """Every component of the run: the model, the data set, the visualisers."""
        return (self.model, self.dataset, *self.visualisers)

    @property
    def run_name(self) -> str:
        """The `run_name`, or one that says what the run is: `mlp widths=20 · mnist · lr 0.001`.

        Options of model and data set, and settings of how it is trained, stand in it where
        they are not the default.
        """
        settings = self.settings
        changed = [f"{n}={brief(v)}" for n, v in settings.changed().items()]
        parts = [self.model.title, self.dataset.title, " ".join([f"lr {settings.lr:g}", *changed])]
        return settings.run_name or shorten(" · ".join(parts), LONGEST_NAME)

    def flat(self) -> dict[str, object]:
        """Returns every setting and option, default or not, under its dotted name."""
        values = self.settings.flat()
        for configured in self.components:
            for name, value in configured.options.items():
                values[f"{canonical(configured.prefix)}.{name}"] = value
        return values

    def params(self) -> dict[str, str]:
        """Returns `flat()` as the texts that `mlrun train` reads back."""
        return {name: text_of(value) for name, value in self.flat().items()}

    def defaults(self) -> dict[str, str]:
        """Returns the default of each setting and option that has one, as `params()` has them."""
        return defaults({each.prefix: each.component for each in self.components})

    def recipe(self) -> str:
        """Returns the settings as a recipe, YAML, with the version of the settings."""
        values = {name: plain_of(value) for name, value in self.flat().items()}
        return as_yaml({KEY: VERSION, **values})


def defaults(components: Mapping[str, Component]) -> dict[str, str]:
    """Returns the default of each setting, and of each option of components by prefix, as text."""
    values = Settings().flat()
    for prefix, component in components.items():
        for option in component.options:
            if not option.required:
                values[f"{canonical(prefix)}.{option.name}"] = option.default
    return {name: text_of(value) for name, value in values.items()}


def plan_of(source: Plan | Settings | Mapping[str, object], *, searched: bool = False) -> Plan:
    """Returns the plan that settings, or names and values, stand for.

    `recipe` among names and values is a recipe, by name or file, over which the others go.

    Args:
        source: what is asked for.
        searched: whether the recipe may be one of a sweep, whose search is left out then.

    Raises:
        MlrunError: a name or value is wrong; it names the recipe that has it.
    """
    if isinstance(source, Plan):
        return source
    if isinstance(source, Settings):
        return make_plan(source)
    values = by_canonical_name(source)
    name = values.pop("recipe", None)
    if name is None:
        return make_plan(Settings.parse(values))
    recipe = recipes.load(as_text(name))
    if recipe.search and not searched:
        raise RecipeError(
            recipe.name,
            f"it is one of a sweep: mlrun sweep --recipe {recipe.name}; or take its search out",
        )
    if "plugin" not in values:
        recipe = with_plugins(recipe)
    try:
        plan = make_plan(Settings.parse(recipes.merge(recipe.values, values)))
    except MlrunError as error:
        if str(error) != fault_of(recipe.values):
            raise
        raise RecipeError(recipe.name, error) from error
    return replace(plan, recipe_name=Path(recipe.name).name)


def with_plugins(recipe: Recipe) -> Recipe:
    """Returns a recipe with its plugin files as they are called from the working directory.

    A recipe may be somebody else's: a file elsewhere is executed only if the user names it.

    Raises:
        RecipeError: one does not lie beside the recipe.
    """
    try:
        files = files_of(recipe.values.get("plugin"))
    except ValueError:
        return recipe  # which the settings will say, as they say what no file can be called
    found = [beside(recipe.path.parent, name) if is_text(name) else name for name in files]
    for name, file in zip(files, found, strict=True):
        if is_text(name) and folder_of(file) != recipe.path.parent:
            raise RecipeError(
                recipe.name,
                f"plugin {name} does not lie beside it; if you trust that file, name it: "
                f"--plugin {name}",
            )
    return replace(recipe, values={**recipe.values, "plugin": found}) if files else recipe


def folder_of(name: str) -> Path:
    """Returns the folder that a file really lies in, behind all links; one may lead to itself."""
    return Path(os.path.realpath(at_home(name))).parent


def beside(folder: Path, name: str) -> str:
    """Returns the path of a file that a recipe in `folder` names, short where that is at hand."""
    path = at_home(name)
    return name if path.is_absolute() or Path.cwd() == folder else str(folder / path)


def fault_of(values: Mapping[str, object]) -> str:
    """Returns what is wrong with names and values by themselves, or nothing."""
    try:
        make_plan(Settings.parse(values))
    except MlrunError as error:
        return str(error)
    return ""


def make_plan(settings: Settings) -> Plan:
    """Returns the plan of one run.

    Raises:
        MlrunError: a component or option does not exist, an option has a wrong value or none.
    """
    registry = discover([at_home(path) for path in settings.plugin])
    visualisers = [registry.find("visualiser", name) for name in settings.visualisers]
    repeated = {c.qualified for c in visualisers if visualisers.count(c) > 1}
    if repeated:
        raise MlrunError(f"visualisers names {', '.join(repeated)} twice")
    components = {
        "model": registry.find("model", settings.model),
        "dataset": registry.find("dataset", settings.dataset),
        **dict(zip(map(prefix_of, settings.visualisers), visualisers, strict=True)),
    }
    options = group_options(settings.options, components)
    model, dataset, *others = (
        ConfiguredComponent(prefix, component, resolve(component, prefix, options[prefix]))
        for prefix, component in components.items()
    )
    return Plan(settings, registry, model, dataset, tuple(others))


def text_of(value: object) -> str:
    """Returns a setting's value as text; no names, and no tags, are `none`."""
    if isinstance(value, dict) and value:
        return ",".join(f"{name}={text}" for name, text in value.items())
    return "none" if value in ((), [], {}) else as_text(value)
