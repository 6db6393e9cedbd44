"""What the shell offers on TAB: names of components, recipes, choices, dotted options.

A shell asks click, click asks here; nothing heavy is loaded, and what is wrong on the line so
far offers nothing.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

import click
from click.shell_completion import CompletionItem

from mlrun.errors import MlrunError
from mlrun.seam.components import Component, Kind
from mlrun.seam.conversion import as_text
from mlrun.seam.registry import Registry, discover
from mlrun.settings import Settings, recipes
from mlrun.settings.names import canonical
from mlrun.settings.plan import prefix_of
from mlrun.settings.run import component_settings, traits_of
from mlrun.settings.values import names_of

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def for_setting(name: str) -> Complete | None:
    """Returns what completes the value of a setting, or None where anything may stand."""
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
    """Returns what offers the same words always."""
    return lambda ctx, param, incomplete: starting(incomplete, ((word, "") for word in words))


def paths(kind: Literal["file", "dir"]) -> Complete:
    """Returns what has the shell offer files or folders."""
    return lambda ctx, param, incomplete: [CompletionItem(incomplete, type=kind)]


def words_or_paths(words: Iterable[str], kind: Literal["file", "dir"]) -> Complete:
    """Returns what offers words, or has the shell offer paths where no word starts so."""
    offer_words, offer_paths = fixed(words), paths(kind)
    return lambda *asked: offer_words(*asked) or offer_paths(*asked)


def of_kind(kind: Kind) -> Complete:
    """Returns what offers the components of one kind."""
    return lambda ctx, param, incomplete: components(registry(ctx).of_kind(kind), incomplete)


def any_component(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offers every component."""
    return components(registry(ctx).components, incomplete)


def visualisers(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offers the visualisers that do not stand before the last comma yet."""
    before, comma, last = incomplete.rpartition(",")
    there = before.split(",")
    found = [c for c in registry(ctx).of_kind("visualiser") if c.name not in there]
    return [
        CompletionItem(f"{before}{comma}{item.value}", help=item.help)
        for item in components(found, last)
    ]


def recipe_names(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offers the shipped recipes, or files where none is called so."""
    return words_or_paths(recipes.names(), "file")(ctx, param, incomplete)


def dotted(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Offers the options of the components that the line so far names: `--model.dropout`."""
    offers = [
        (f"--{prefix}.{option.name.replace('_', '-')}", option.help)
        for prefix, component in named_components(ctx).items()
        for option in component.options
    ]
    return starting(incomplete.replace("_", "-"), offers)


def dotted_value(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Offers the words that the dotted option before the cursor takes."""
    last = next((arg for arg in reversed(ctx.meta["mlrun.args"]) if arg != "="), "")
    prefix, _, name = canonical(last.removeprefix("--")).partition(".")
    for given, component in named_components(ctx).items():
        for option in component.options:
            if (canonical(given), option.name) == (prefix, name) and last.startswith("--"):
                return starting(incomplete, ((word, "") for word in words_of(option.annotation)))
    return []


def named_components(ctx: click.Context) -> dict[str, Component]:
    """Returns the components that the line so far names, or else the recipe, or the defaults."""
    given = {name: value for name, value in ctx.params.items() if value not in (None, ())}
    try:
        recipe = recipes.load(given["recipe"][-1]).values if "recipe" in given else {}
    except MlrunError:
        recipe = {}
    values = {**{n: f.default for n, f in Settings.model_fields.items()}, **recipe, **given}
    there = registry(ctx)
    wanted: list[tuple[str, Kind, str]] = []
    for setting, kind in component_settings().items():
        if setting not in ctx.params:
            continue
        if kind == "visualiser":
            wanted += [(prefix_of(name), kind, name) for name in names_of(values[setting])]
        else:
            wanted.append((setting, kind, values[setting]))
    found = {}
    for prefix, kind, name in wanted:
        try:
            found[prefix] = there.find(kind, name)
        except MlrunError:
            continue
    return found


def registry(ctx: click.Context) -> Registry:
    """Returns what is registered, with the plugin files that the line so far names."""
    files = ctx.params.get("plugin") or ctx.params.get("plugins") or ()
    try:
        return discover([Path(file).expanduser() for file in files])
    except MlrunError:
        return discover()


def components(found: Iterable[Component], incomplete: str) -> list[CompletionItem]:
    """Returns an item for each component whose name starts so."""
    return starting(incomplete.replace("_", "-"), ((c.name, c.summary) for c in found))


def starting(incomplete: str, offers: Iterable[tuple[str, str]]) -> list[CompletionItem]:
    """Returns an item, with its help, for each offer that starts so."""
    return [
        CompletionItem(word, help=about) for word, about in offers if word.startswith(incomplete)
    ]
