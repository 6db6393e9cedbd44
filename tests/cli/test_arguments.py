"""How the words of a command line are told apart."""

from __future__ import annotations

import re
from importlib import import_module

import click
import pytest

from mlrun.cli.arguments import WIDEST_CHOICES, setting_options, split_dotted
from mlrun.cli.main import COMMANDS

SHARED = ("--plugin", "--data-dir", "--device", "--wait", "--output", "--force")


@pytest.mark.parametrize(
    ("args", "options", "rest"),
    [
        (["--a.b", "x"], {"a.b": "x"}, []),
        (["--a.b=x=y"], {"a.b": "x=y"}, []),
        (["--a.b", "--c.d"], {"a.b": "true", "c.d": "true"}, []),
        (["--a-b.c_d", "-1"], {"a_b.c_d": "-1"}, []),
        (["--batch_size", "3"], {}, ["--batch-size", "3"]),
        (["--run_name=a_b"], {}, ["--run-name=a_b"]),
        (["--run-name", "a.b"], {}, ["--run-name", "a.b"]),
        (["--data_dir", "", "--a.b", ""], {"a.b": ""}, ["--data-dir", ""]),
        (["--m/n.o", "x"], {"m/n.o": "x"}, []),
        (["--optimizer", "sgd"], {}, ["--optimiser", "sgd"]),
        (["--visualizers=none"], {}, ["--visualisers=none"]),
    ],
)
def test_dotted_options_are_told_from_the_others(
    args: list[str], options: dict[str, str], rest: list[str]
) -> None:
    assert split_dotted(args) == (options, rest)


def test_the_help_of_each_setting_fits_a_terminal_and_names_every_choice() -> None:
    records = {}
    for option in setting_options():
        record = option.get_help_record(click.Context(click.Command("train")))
        assert record is not None
        records[option.name] = record
    assert max(len(value) for value, _ in records.values()) < WIDEST_CHOICES + 20
    value, text = records["initialisation"]
    assert value == "--initialisation NAME"
    assert "default, normal, xavier-uniform, xavier-normal, kaiming-uniform" in text
    assert records["reduction"][0] == "--reduction mean|sum"


def test_an_option_that_several_commands_have_says_the_same_in_each() -> None:
    about: dict[str, set[tuple[str | None, bool, str]]] = {}
    for name in sorted(
        set(COMMANDS) - {"train", "sweep", "plugins"}
    ):  # settings, and files to be listed
        for option in import_module(f"mlrun.cli.{name}").command.params:
            if isinstance(option, click.Option) and option.opts[0] in SHARED:
                help_ = re.sub(
                    r"^.*: (?=how)|  \[.*\]$", "", str(option.help)
                )  # but for the default
                text = (option.metavar, option.multiple, help_)
                about.setdefault(option.opts[0], set()).add(text)
    assert {name: len(texts) for name, texts in about.items()} == dict.fromkeys(SHARED, 1)
