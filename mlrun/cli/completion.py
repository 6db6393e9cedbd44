"""Shell completion: names of components, recipes, choices, dotted options.

Click calls these functions when the shell completes a line. Nothing heavy is imported, and a
line with an error in it has no completions.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterable
from typing import Any, Literal

import click
from click.shell_completion import CompletionItem

from mlrun.errors import MlrunError
from mlrun.seam.components import Component, Kind
from mlrun.seam.conversion import as_text
from mlrun.seam.files import at_home
from mlrun.seam.registry import Registry, discover
from mlrun.settings import Settings, recipes
from mlrun.settings.names import canonical
from mlrun.settings.option_values import prefix_of
from mlrun.settings.run import component_settings, traits_of
from mlrun.settings.values import names_of

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def for_setting(name: str) -> Complete | None:
    """Returns the completion of a setting's value, or None for free text."""
    traits = traits_of(name)
    if traits.kind is not None:
        return visualisers if traits.kind == "visualiser" else of_kind(traits.kind)
    words = traits.words or words_of(Settings.model_fields[name].annotation)
    if traits.path is not None:
        return words_or_paths(words, traits.path)
    return fixed(words) if words else None


def words_of(annotation: Any) -> tuple[str, ...]:
    """Returns the words that an annotation allows: those of a Literal, a bool or None."""
    if annotation is bool:
        return ("true", "false")
    if annotation is types.NoneType:
        return ("none",)
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) is Literal:
        return tuple(as_text(choice) for choice in arguments)
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return tuple(word for argument in arguments for word in words_of(argument))
    return ()


def fixed(words: Iterable[str]) -> Complete:
    """Returns the completion by a fixed list of words."""
    return lambda ctx, param, incomplete: starting(incomplete, ((word, "") for word in words))


def paths(kind: Literal["file", "dir"]) -> Complete:
    """Returns the completion by files or folders, which the shell does itself."""
    return lambda ctx, param, incomplete: [CompletionItem(incomplete, type=kind)]


def words_or_paths(words: Iterable[str], kind: Literal["file", "dir"]) -> Complete:
    """Returns the completion by words, or by paths where no word matches."""
    complete_words, complete_paths = fixed(words), paths(kind)
    return lambda *arguments: complete_words(*arguments) or complete_paths(*arguments)


def of_kind(kind: Kind) -> Complete:
    """Returns the completion by the components of one kind."""
    return lambda ctx, param, incomplete: components(registry(ctx).of_kind(kind), incomplete)


def any_component(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Completes the name of any component."""
    return components(registry(ctx).components, incomplete)


def visualisers(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Completes the last of several visualisers by those that are not in the list yet."""
    before, comma, last = incomplete.rpartition(",")
    names = before.split(",")
    matches = [c for c in registry(ctx).of_kind("visualiser") if c.name not in names]
    return [
        CompletionItem(f"{before}{comma}{item.value}", help=item.help)
        for item in components(matches, last)
    ]


def recipe_names(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Completes the name of a shipped recipe, or a path where none matches."""
    return words_or_paths(recipes.names(), "file")(ctx, param, incomplete)


def dotted(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Completes the options of the components named on the line: `--model.dropout`."""
    offers = [
        (f"--{prefix}.{option.name.replace('_', '-')}", option.help)
        for prefix, component in named_components(ctx).items()
        for option in component.options
    ]
    return starting(incomplete.replace("_", "-"), offers)


def dotted_value(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Completes the value of the dotted option before the cursor."""
    last = next((arg for arg in reversed(ctx.meta["mlrun.args"]) if arg != "="), "")
    prefix, _, name = canonical(last.removeprefix("--")).partition(".")
    for key, component in named_components(ctx).items():
        for option in component.options:
            if (canonical(key), option.name) == (prefix, name) and last.startswith("--"):
                return starting(incomplete, ((word, "") for word in words_of(option.annotation)))
    return []


def named_components(ctx: click.Context) -> dict[str, Component]:
    """Returns the components named on the line, or else by the recipe, or by the defaults."""
    params = {name: value for name, value in ctx.params.items() if value not in (None, ())}
    try:
        recipe = recipes.load(params["recipe"][-1]).values if "recipe" in params else {}
    except MlrunError:
        recipe = {}
    values = {**{n: f.default for n, f in Settings.model_fields.items()}, **recipe, **params}
    plugins = registry(ctx)
    references: list[tuple[str, Kind, str]] = []
    for setting, kind in component_settings().items():
        if setting not in ctx.params:
            continue
        if kind == "visualiser":
            references += [(prefix_of(name), kind, name) for name in names_of(values[setting])]
        else:
            references.append((setting, kind, values[setting]))
    matches = {}
    for prefix, kind, name in references:
        try:
            matches[prefix] = plugins.find(kind, name)
        except MlrunError:
            continue
    return matches


def registry(ctx: click.Context) -> Registry:
    """Returns the registry, with the plugin files that the line so far names."""
    files = ctx.params.get("plugin") or ctx.params.get("plugins") or ()
    try:
        return discover([at_home(file) for file in files])
    except MlrunError:
        return discover()


def components(matches: Iterable[Component], incomplete: str) -> list[CompletionItem]:
    """Returns a completion for each component whose name has this prefix."""
    return starting(incomplete.replace("_", "-"), ((c.name, c.summary) for c in matches))


def starting(incomplete: str, offers: Iterable[tuple[str, str]]) -> list[CompletionItem]:
    """Returns a completion, with its help, for each offer with this prefix."""
    return [
        CompletionItem(word, help=about) for word, about in offers if word.startswith(incomplete)
    ]
