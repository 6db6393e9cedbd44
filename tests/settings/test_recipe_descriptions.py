"""The options that the descriptions of shipped recipes offer can be given."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from checkouts import ROOT

from mlrun.cli import train
from mlrun.preparing.prepared import dry_run
from mlrun.settings import recipes
from mlrun.settings.plan import plan_of

OPTION = r"--[a-z][\w.-]* [^\s`]*[^\s`.,;:]"


def offered(text: str) -> list[list[str]]:
    """The options in a text, as words; those that stand together in one list."""
    groups = re.findall(rf"{OPTION}(?: {OPTION})*", " ".join(text.split()))
    return [group.split(" ") for group in groups]


def pairs(text: str) -> set[tuple[str, str]]:
    """The options in a text, each with its value."""
    return {pair for words in offered(text) for pair in zip(words[::2], words[1::2], strict=True)}


def described(name: str) -> str:
    """A recipe's description, and that of the one which it says to be like otherwise."""
    text = recipes.load(name).about["description"]
    return " ".join([text, *map(described, re.findall(r" as in recipe ([\w-]+)", text))])


def test_options_are_found_in_a_text() -> None:
    text = "Its own form: --model.loss a-b --shuffle false. Wide: --widths 40, --lr 1e-4 too."
    both = ["--model.loss", "a-b", "--shuffle", "false"]
    assert offered(text) == [both, ["--widths", "40"], ["--lr", "1e-4"]]
    assert ("--lr", "1e-4") in pairs(text)
    assert ("--subset", "2500") in pairs(described("learn-cnn"))


@pytest.mark.parametrize("name", recipes.names())
def test_what_a_description_offers_resolves_and_offline_needs_no_file(
    name: str, home: Path
) -> None:
    for words in offered(described(name)):
        ctx = train.command.make_context("train", ["--recipe", name, *words])
        plan = plan_of(train.values_of(ctx))
        if {"digits", "none"} & set(words):
            assert " parameters: " in dry_run(plan), words


def test_a_description_names_recipes_that_there_are() -> None:
    for name in recipes.names():
        named = re.findall(r"\brecipe ([\w-]+)", recipes.load(name).about["description"])
        assert set(named) <= set(recipes.names()), name


def test_the_forms_of_the_originals_stand_in_the_descriptions_too() -> None:
    page = (ROOT / "docs" / "systems.md").read_text()
    rows = re.findall(r"^\| ([A-E]) \|.*\| ([^|]*) \|$", page.partition("\n## ")[0], re.MULTILINE)
    originals = [(system, pair) for system, original in rows for pair in pairs(original)]
    assert {system for system, _ in originals} == set("ABC")
    abouts = [recipes.load(name).about["description"] for name in recipes.names()]
    for system, pair in originals:  # D has none, and E's sound forms are recipes
        assert pair in pairs(" ".join(a for a in abouts if a.startswith(f"System {system}")))
