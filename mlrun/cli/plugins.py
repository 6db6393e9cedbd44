"""`mlrun plugins`."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from mlrun.cli import completion
from mlrun.cli.terminal import echo
from mlrun.errors import unknown
from mlrun.seam.components import KINDS, Component
from mlrun.seam.conversion import as_text
from mlrun.seam.options import Option
from mlrun.seam.registry import Registry, discover

TITLES = {"model": "Models", "dataset": "Data sets", "visualiser": "Visualisers"}


@click.command("plugins")
@click.argument("name", required=False, shell_complete=completion.any_component)
@click.option(
    "--plugin",
    "files",
    multiple=True,
    metavar="FILE",
    help="a plugin file to add",
    shell_complete=completion.paths("file"),
)
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def command(name: str | None, files: tuple[str, ...], as_json: bool) -> None:
    """List models, data sets and visualisers, or describe the one called NAME."""
    registry = discover([Path(file) for file in files])
    for warning in registry.warnings:
        echo(f"Warning: {warning}", err=True)
    components = registry.components if name is None else find_components(registry, name)
    if as_json:
        click.echo(json.dumps(as_dict(registry, components), indent=2, default=as_text))
    elif name is None:
        list_all(registry)
    else:
        for component in components:
            print_component(component)


def find_components(registry: Registry, name: str) -> list[Component]:
    """Returns every component of that name or `plugin/name`, of whatever kind."""
    target = name.replace("_", "-")
    matches = [c for c in registry.components if target in (c.name, c.qualified.replace("_", "-"))]
    if not matches:
        raise unknown("component", name, {c.name for c in registry.components})
    return matches


def list_all(registry: Registry) -> None:
    """Prints a table by kind, then the broken plugins."""
    owners = Counter((component.kind, component.name) for component in registry.components)
    formatter = click.HelpFormatter(width=100)
    for kind in KINDS:
        rows = [
            (c.qualified if owners[kind, c.name] > 1 else c.name, f"{c.summary}  [{c.origin}]")
            for c in registry.of_kind(kind)
        ]
        with formatter.section(TITLES[kind]):
            formatter.write_dl(rows or [("none", "")])
    if registry.broken:
        with formatter.section("Broken"):
            formatter.write_dl(
                [(b.plugin, f"{b.reason}  [{b.distribution} {b.version}]") for b in registry.broken]
            )
    click.echo(formatter.getvalue().lstrip("\n"), nl=False)


def print_component(component: Component) -> None:
    """Prints a component's documentation and options."""
    when = ", drawn at each epoch" if "epoch" in component.when else ""
    click.echo(f"{component.name} ({component.kind}{when}), from {component.origin}\n")
    click.echo(component.documentation.partition("\nArgs:")[0].strip() + "\n")
    for module, how in component.needs.items():
        state = "" if module not in component.missing else f", not installed: pip install '{how}'"
        click.echo(f"It needs {module}{state}.\n")
    if not component.options:
        click.echo("It has no options.\n")
        return
    prefix = component.kind if component.kind != "visualiser" else component.name
    formatter = click.HelpFormatter(width=100)
    with formatter.section("Options"):
        formatter.write_dl(
            [
                (
                    f"--{prefix}.{option.name.replace('_', '-')} {option.type}",
                    f"{option.help}  [{default_text(option)}]",
                )
                for option in component.options
            ]
        )
    click.echo(formatter.getvalue().lstrip("\n"))


def default_text(option: Option) -> str:
    """Returns the default of an option as text: `required` without one, `none` for an empty one."""
    return "required" if option.required else as_text(option.default) or "none"


def as_dict(registry: Registry, components: list[Component]) -> dict[str, Any]:
    """Returns the listing as plain values."""
    return {
        "components": [
            {
                "kind": c.kind,
                "name": c.name,
                "plugin": c.plugin,
                "distribution": c.distribution,
                "version": c.version,
                "summary": c.summary,
                "documentation": c.documentation,
                **({"when": list(c.when)} if c.kind == "visualiser" else {}),
                "needs": dict(c.needs),
                "missing": list(c.missing),
                "options": [
                    {
                        "name": option.name,
                        "type": option.type,
                        "required": option.required,
                        "default": None if option.required else option.default,
                        "help": option.help,
                    }
                    for option in c.options
                ],
            }
            for c in components
        ],
        "broken": [asdict(b) for b in registry.broken],
        "warnings": registry.warnings,
    }
