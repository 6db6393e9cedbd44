"""Settings as click options, and dotted options of components collected beside them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import click
from click.shell_completion import CompletionItem
from pydantic.fields import FieldInfo

from mlrun.cli import completion
from mlrun.errors import unknown
from mlrun.seam.conversion import as_text
from mlrun.settings import Settings
from mlrun.settings.names import canonical
from mlrun.settings.option_values import prefixed
from mlrun.settings.run import setting_traits
from mlrun.settings.values import PartRates

WIDEST_CHOICES = 60  # characters in the place of a value; more choices stand in the text


class SettingOption(click.Option):
    """A setting as an option; its value stays text, which `Settings` converts."""

    def __init__(self, *args: Any, group: str, **kwargs: Any) -> None:
        self.group = group
        super().__init__(*args, **kwargs)


DATASET_HELP = ("--dataset.NAME VALUE", "an option of the data set")
MODEL_HELP = ("--model.NAME VALUE", "an option of the model; see mlrun plugins MODEL")
ELSEWHERE_HELP = (
    "--COMPONENT.NAME VALUE",
    "over the run's, for a file that lies elsewhere now",
)
START_HELP = ("--model.NAME VALUE", "over the run's, where an option was for its start only")


class DottedCommand(click.Command):
    """Takes `-` and `_` alike, and collects `--name.option value` into `ctx.meta`."""

    dotted_help: tuple[tuple[str, str], ...] = ()

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Splits dotted options off and parses the rest."""
        options, rest = split_dotted(args)
        ctx.meta["mlrun.options"], ctx.meta["mlrun.args"] = options, args
        if ctx.resilient_parsing:  # the shell asks for completions
            return super().parse_args(ctx, rest)
        names = [name for param in self.params for name in param.opts if name.startswith("--")]
        for arg in rest:
            name = arg.partition("=")[0]
            if arg.startswith("--") and name not in [*names, "--", "--help"]:
                raise click.UsageError(str(unknown("option", name, names)), ctx)
        return super().parse_args(ctx, rest)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Completes this command's options; those of components where none of its own matches."""
        if not incomplete.startswith("-"):
            return completion.dotted_value(ctx, incomplete)
        plain = super().shell_complete(ctx, incomplete.replace("_", "-"))
        return plain or completion.dotted(ctx, incomplete)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the options in groups, each with its default."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                group = getattr(param, "group", "Command")
                groups.setdefault(group, []).append(record)
        for group, rows in groups.items():
            with formatter.section(group):
                formatter.write_dl(rows)
        with formatter.section("Options of components"):
            formatter.write_dl(self.dotted_help)


class TrainCommand(DottedCommand):
    """Takes the options of every component of the run."""

    dotted_help = (
        MODEL_HELP,
        DATASET_HELP,
        ("--VISUALISER.NAME VALUE", "an option of a visualiser: --weights.cmap magma"),
    )


def split_dotted(args: list[str]) -> tuple[dict[str, str], list[str]]:
    """Returns the dotted options with their values, and all other arguments, `_` as `-`.

    An option without a value, at the end or before another option, is `true`.
    """
    options: dict[str, str] = {}
    rest: list[str] = []
    pending = iter(range(len(args)))
    for i in pending:
        match = re.fullmatch(r"--([A-Za-z][\w./-]*)(=.*)?", args[i], re.DOTALL)
        if match is None:
            rest.append(args[i])
        elif "." not in match[1]:
            name = canonical(match[1]).replace("_", "-")
            rest.append(f"--{name}{match[2] or ''}")
            if match[2] is None and i + 1 < len(args) and not args[i + 1].startswith("--"):
                rest.append(args[next(pending)])  # a value is never an option, whatever it holds
        elif match[2] is not None:
            options[canonical(match[1])] = match[2][1:]
        elif i + 1 < len(args) and not args[i + 1].startswith("--"):
            options[canonical(match[1])] = args[next(pending)]
        else:
            options[canonical(match[1])] = "true"
    return options, rest


def options_of(ctx: click.Context, prefixes: tuple[str, ...]) -> dict[str, dict[str, object]]:
    """Returns the dotted options of a command by prefix.

    Raises:
        MlrunError: one has another prefix.
    """
    dotted = ctx.meta["mlrun.options"]
    for name in dotted:
        if name.partition(".")[0] not in prefixes:
            raise unknown("option", f"--{name}", [f"--{prefix}.NAME" for prefix in prefixes])
    return {prefix: prefixed(prefix, dotted) for prefix in prefixes}


def setting_options() -> Iterator[SettingOption]:
    """Yields an option for each setting, in the settings' order."""
    for name, traits in setting_traits().items():
        field = Settings.model_fields[name]
        flag = {"is_flag": False, "flag_value": "true"} if field.annotation is bool else {}
        yield SettingOption(
            [f"--{name.replace('_', '-')}", name],
            group=traits.group,
            metavar=metavar(field.annotation),
            multiple=traits.repeatable,
            help=f"{help_of(field)}  [{default_text(field.default)}]",
            shell_complete=completion.for_setting(name),
            **flag,
        )


def help_of(field: FieldInfo) -> str:
    """Returns the help text of a setting, with its choices where the placeholder is too short."""
    choices = choices_of(field.annotation)
    if len(choices) <= WIDEST_CHOICES:
        return str(field.description)
    return f"{field.description}: {choices.replace('|', ', ')}"


def choices_of(annotation: Any) -> str:
    """Returns the texts that a Literal allows, with bars between; nothing for other types."""
    texts = get_args(annotation) if get_origin(annotation) is Literal else ()
    return "|".join(texts)


def metavar(annotation: Any) -> str:
    """Returns the placeholder of a value in the help."""
    choices = choices_of(annotation)
    if choices:
        return choices if len(choices) <= WIDEST_CHOICES else "NAME"
    by_type = {
        bool: "[true|false]",
        int: "N",
        float: "X",
        tuple[float, float]: "LOW,HIGH",
        PartRates: "NAME=X,…",
    }
    return by_type.get(annotation, "TEXT")


def default_text(default: object) -> str:
    """Returns the text of a default in the help."""
    if isinstance(default, float):
        return f"{default:g}"
    return "none" if default in ((), {}) else as_text(default)
