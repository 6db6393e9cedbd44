"""The registry: discovers the components of all plugins, and looks them up by name."""

from __future__ import annotations

import difflib
import inspect
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from mlrun.errors import MlrunError, contained, one_line, unknown
from mlrun.seam import hookspecs, sources
from mlrun.seam.components import (
    Component,
    Kind,
    NoComponent,
    When,
    check_call,
    check_needs,
    component_name,
    registers_decoder,
    times,
)
from mlrun.seam.options import options_of

SLOW_IMPORT = 0.5  # seconds


@dataclass(frozen=True)
class Broken:
    """A plugin that could not be used, and the reason."""

    plugin: str
    distribution: str
    version: str
    reason: str


class Registry:
    """The components of all plugins, the broken plugins, and warnings for the user."""

    def __init__(self) -> None:
        self.components: list[Component] = []
        self.broken: list[Broken] = []
        self.warnings: list[str] = []

    def of_kind(self, kind: Kind) -> list[Component]:
        """Returns the components of one kind, by name."""
        return sorted((c for c in self.components if c.kind == kind), key=lambda c: c.qualified)

    def find(self, kind: Kind, name: str) -> Component:
        """Returns the component called `name` or `plugin/name`; `_` and `-` are the same.

        Raises:
            MlrunError: there is none, two plugins register the bare name, or it needs what is
                not installed.
        """
        key = name.replace("_", "-")
        components = self.of_kind(kind)
        matches = [c for c in components if key in (c.name, c.qualified.replace("_", "-"))]
        if len(matches) == 1:
            check_needs(matches[0])
            return matches[0]
        if not matches:
            error = unknown(kind, name, {c.name for c in components})
            broken = ", ".join(each.plugin for each in self.broken)
            hint = f" (broken plugins: {broken}; see mlrun plugins)" if broken else ""
            raise NoComponent(f"{error}{hint}", kind)
        candidates = ", ".join(c.qualified for c in matches)
        raise MlrunError(f"{kind} {name} is registered by several plugins; say which: {candidates}")

    def complaints(self) -> list[str]:
        """Returns one line for each warning and each broken plugin."""
        broken = [
            f"plugin {b.plugin} ({b.distribution}) is broken: {b.reason}" for b in self.broken
        ]
        return self.warnings + broken


class Hooks(pluggy.PluginManager):
    """Pluggy's manager without its look at each module's dunder names: half of the time."""

    def parse_hookimpl_opts(self, plugin: object, name: str) -> pluggy.HookimplOpts | None:
        """Returns the options of a function that is marked as a hook, else None."""
        return None if name.startswith("__") else super().parse_hookimpl_opts(plugin, name)


def discover(files: Sequence[Path] = ()) -> Registry:
    """Returns the components of every installed plugin and of each plugin file in `files`.

    Each entry point is loaded by itself: one that is broken ends in `Registry.broken` and
    stops no other. `MLRUN_PLUGINS`, names with commas between, restricts which are loaded.

    Raises:
        MlrunError: one of `files` cannot be used.
    """
    registry = Registry()
    manager = Hooks("mlrun")
    manager.add_hookspecs(hookspecs)
    owners: dict[str, str] = {}
    for source in allowed(sources.sources(), os.environ.get("MLRUN_PLUGINS"), registry):
        owner = owners.setdefault(source.name, source.distribution)
        if owner != source.distribution:
            reason = f"{owner} has a plugin of the same name; uninstall one of the two"
            note_broken(registry, source, reason)
            continue
        started = time.perf_counter()
        try:
            with contained(interrupts=True):
                module = source.load()
                elapsed = time.perf_counter() - started
                registry.components += components_of(source, module, manager)
        except Exception as error:
            note_broken(
                registry, source, str(error) if type(error) is MlrunError else one_line(error)
            )
            continue
        if elapsed > SLOW_IMPORT:
            registry.warnings.append(
                f"plugin {source.name} ({source.distribution}) took {elapsed:.1f} s to import; "
                "its author can import heavy packages inside the functions"
            )
    for path in files:
        source, module = sources.source_of_file(path)
        if owners.setdefault(source.name, str(path)) != str(path):
            raise MlrunError(
                f"--plugin {path}: {owners[source.name]} is a plugin called {source.name} too; "
                "rename the file"
            )
        try:
            with contained(interrupts=True):
                registry.components += components_of(source, module, manager)
        except Exception as error:
            reason = str(error) if type(error) is MlrunError else one_line(error)
            raise MlrunError(f"--plugin {path}: {reason}") from error
    return registry


def allowed(
    candidates: Iterable[sources.Source], restriction: str | None, registry: Registry
) -> list[sources.Source]:
    """Returns the sources that `MLRUN_PLUGINS` lets through; warns of names that do not exist."""
    candidates = list(candidates)
    if restriction is None:
        return candidates
    allowlist = {name.strip() for name in restriction.split(",") if name.strip()}
    missing = sorted(allowlist - {source.name for source in candidates})
    if missing:
        names = ", ".join(sorted(source.name for source in candidates))
        registry.warnings.append(
            f"MLRUN_PLUGINS names {', '.join(missing)}, which is not installed; there are: {names}"
        )
    return [source for source in candidates if source.name in allowlist]


def note_broken(registry: Registry, source: sources.Source, reason: str) -> None:
    """Adds `source` to the broken plugins."""
    registry.broken.append(Broken(source.name, source.distribution, source.version, reason))


def components_of(
    source: sources.Source, plugin: ModuleType, manager: pluggy.PluginManager
) -> list[Component]:
    """Returns the components that one plugin registers, all or none.

    `manager` knows the hooks and no plugin, and does so again afterwards.

    Raises:
        MlrunError: the plugin wants a newer seam, misspells a hook or registers nothing.
        Exception: whatever the plugin itself raises.
    """
    version = getattr(plugin, "mlrun_seam", hookspecs.SEAM_VERSION)
    if version > hookspecs.SEAM_VERSION:
        raise MlrunError(
            f"it was written for seam {version}, this mlrun has {hookspecs.SEAM_VERSION}; "
            "upgrade mlrun-vision"
        )
    components: list[Component] = []
    try:
        manager.register(plugin, name=source.name)
        check_hooks(manager, plugin)
        manager.hook.register_models(register=collector(components, source, "model"))
        manager.hook.register_datasets(register=collector(components, source, "dataset"))
        manager.hook.register_visualisers(register=collector(components, source, "visualiser"))
    finally:
        if manager.is_registered(plugin):
            manager.unregister(plugin)
    if not components and not registers_decoder(plugin):
        raise MlrunError(
            "it registers nothing; decorate register_models, register_datasets or "
            "register_visualisers with @mlrun.hookimpl"
        )
    return components


def check_hooks(manager: pluggy.PluginManager, plugin: ModuleType) -> None:
    """Raises MlrunError for a hook that does not exist, with the nearest that does."""
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        hooks = [name for name in vars(hookspecs) if name.startswith("register_")]
        for caller in manager.get_hookcallers(plugin) or []:
            if caller.name not in hooks:
                near = difflib.get_close_matches(caller.name, hooks, n=1)
                hint = f"did you mean {near[0]}?" if near else f"hooks are {', '.join(hooks)}"
                raise MlrunError(f"unknown hook {caller.name}; {hint}") from error
        raise


def collector(
    components: list[Component], source: sources.Source, kind: Kind
) -> Callable[..., Callable[..., Any]]:
    """Returns the function `register` that is passed to one hook of one plugin."""

    def register(
        function: Callable[..., Any],
        when: When | Sequence[When] = "end",
        *,
        name: str | None = None,
        needs: Mapping[str, str] | None = None,
    ) -> Callable[..., Any]:
        label = component_name(function, name)
        if any(c.kind == kind and c.name == label for c in components):
            raise MlrunError(f"it registers the {kind} {label} twice")
        signature = inspect.signature(function)
        check_call(signature, kind, label)
        components.append(
            Component(
                kind=kind,
                name=label,
                plugin=source.name,
                distribution=source.distribution,
                version=source.version,
                function=function,
                options=options_of(function, signature),
                when=times(when),
                needs=dict(needs or {}),
            )
        )
        return function

    if kind == "visualiser":
        return register
    return lambda function, *, name=None, needs=None: register(function, name=name, needs=needs)
