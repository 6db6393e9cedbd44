"""Recipes: settings by name, one upon another, checked like the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from checkouts import checkout
from mlflow import MlflowClient
from runs import TIMES, logged, read

import mlrun
from mlrun.errors import MlrunError
from mlrun.settings import recipes
from mlrun.settings.plan import plan_of

Command = Callable[..., tuple[int, str, str]]
SMALL = """
description: A small perceptron. It is
  quick.
source: this test
expect: nothing
model: mlp
model.widths: 8
epochs: 1
visualisers: [weights]
weights.cmap: magma
log_model: false
"""


def write(**files: str) -> None:
    for name, content in files.items():
        Path(f"{name}.yaml").write_text(content)


def test_a_recipe_starts_from_its_base_and_changes_what_stands_below(home: Path) -> None:
    write(small=SMALL, wide="base: small.yaml\nmodel.widths: [9, 9]\nlr: 0.01\nexpect: more")
    wide, small = recipes.load("wide.yaml"), recipes.load("small.yaml")
    assert wide.values == {**small.values, "model.widths": [9, 9], "lr": 0.01}
    assert wide.about == {"expect": "more"}  # texts are each file's own


def test_a_base_may_have_a_base_and_lie_in_another_folder(home: Path) -> None:
    Path("below").mkdir()
    Path("below/first.yaml").write_text("base: second.yaml\nlr: 0.1")
    Path("below/second.yaml").write_text("base: digits\nlr: 0.2\nmomentum: 0.9\noptimiser: sgd")
    write(top="base: below/first.yaml\nepochs: 3")
    changes = {"lr": 0.1, "momentum": 0.9, "optimiser": "sgd", "epochs": 3}
    assert recipes.load("top.yaml").values == {**recipes.load("digits").values, **changes}


def test_options_of_a_component_go_when_the_recipe_names_another(home: Path) -> None:
    write(small=SMALL, other="base: small.yaml\nmodel: logistic\nvisualisers: feature-maps")
    values = recipes.load("other.yaml").values
    assert not [name for name in values if "." in name]
    write(same="base: digits\nmodel: cnn\ndataset: digits")
    assert recipes.load("same.yaml").values["model.channels"] == [16, 32]
    assert "model.kernel" in recipes.merge({"model.kernel": 5}, {"model": "cnn"})  # the default
    assert "dataset.x" in recipes.merge({"dataset": "a-b", "dataset.x": 5}, {"dataset": "a_b"})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("base: digit", "recipe a.yaml: base: unknown recipe digit; did you mean digits? There ar"),
        ("base: none.yaml", "recipe a.yaml: base none.yaml: no such file in "),
        ("base: a.yaml", "recipe a.yaml: base: a.yaml → a.yaml goes in a circle"),
        ("base: b.yaml", "recipe a.yaml: base: b.yaml → c.yaml → b.yaml goes in a circle"),
        ("base: list.yaml", "recipe a.yaml: base list.yaml: expected lines `name: value`"),
        ("base: [digits]", "recipe a.yaml: base: expected the name of a recipe, got ['digits']"),
        ("expect: {loss: 1}", "recipe a.yaml: expect: expected a text"),
        ("base: digits\nvisualisers: 3", "recipe a.yaml: visualisers: expected names with commas"),
    ],
)
def test_a_base_that_cannot_be_used_is_one_line(home: Path, content: str, message: str) -> None:
    write(a=content, b="base: c.yaml", c="base: b.yaml", list="- 1")
    with pytest.raises(MlrunError) as caught:
        recipes.load("a.yaml")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


WRONG = [
    ("epohcs: 3", "unknown setting epohcs; did you mean epochs?"),
    ("epochs: many", "epochs: expected a whole number, got 'many'"),
    ("model: lent", "unknown model lent; did you mean lenet?"),
    ("model.dropot: 1", "unknown option of model cnn: dropot; did you mean dropout?"),
    ("model.kernel: x", "model.kernel: expected a whole number, got 'x'"),
    ("wieghts.cmap: x", "wieghts.cmap: unknown component of this run wieghts;"),
    ("momentum: 0.9", "momentum is an option of optimiser sgd and rmsprop, not of adam"),
    ("recipe: digits", "unknown setting recipe;"),
]


@pytest.mark.parametrize(("content", "message"), WRONG)
def test_what_is_wrong_in_a_recipe_is_told_with_its_name_before_a_run_opens(
    store: str, command: Command, content: str, message: str
) -> None:
    write(wrong=f"{content}\n")
    for options in ([], ["--batch-size", "7"]):
        code, stdout, stderr = command("train", "--recipe", "wrong.yaml", *options)
        assert (code, stdout) == (2, "")
        (line,) = stderr.splitlines()
        assert line.startswith(f"Error: recipe wrong.yaml: {message}")
    with pytest.raises(MlrunError) as caught:
        mlrun.train({"recipe": "wrong.yaml"})
    assert str(caught.value).startswith(f"recipe wrong.yaml: {message}")
    assert MlflowClient().search_runs(["0"]) == []


def test_what_is_wrong_on_the_command_line_is_not_the_recipe_s_fault(home: Path) -> None:
    write(right="epochs: 3", wrong="epochs: many")
    with pytest.raises(MlrunError, match=r"^epochs: expected a whole number, got 'few'"):
        plan_of({"recipe": "right.yaml", "epochs": "few"})
    with pytest.raises(MlrunError, match=r"^momentum is an option of optimiser sgd"):
        plan_of({"recipe": "right.yaml", "momentum": 0.9})
    assert plan_of({"recipe": "wrong.yaml", "epochs": 2}).settings.epochs == 2


def test_a_run_says_which_recipe_it_came_from(store: str) -> None:
    write(small=SMALL)
    named = {"visualisers": "none", "log_model": False, "epochs": 0}
    tags = [
        logged(mlrun.train({**named, **given}).run_id).data.tags
        for given in ({"recipe": "digits"}, {"recipe": str(Path("small.yaml").resolve())}, {})
    ]
    assert [found.get("mlrun.recipe") for found in tags] == ["digits", "small.yaml", None]


def test_a_run_s_settings_are_a_recipe_that_repeats_it_also_where_it_came_from_one(
    store: str, command: Command
) -> None:
    write(
        small=SMALL,
        wide="base: small.yaml\nmodel.widths: [9, 9]\nrotate: 10\ntags: {team: a, note: b}",
    )
    ids = []
    for recipe, options in (("wide.yaml", ["--lr", "0.01"]), ("settings.yaml", [])):
        code, stdout, stderr = command("train", "--recipe", recipe, *options)
        assert code == 0, stderr
        ids.append(stdout.strip())
        Path("settings.yaml").write_bytes(read(ids[-1], "settings.yaml"))
    first, again = (logged(run_id).data for run_id in ids)
    assert again.params == first.params
    assert first.params["lr"] == "0.01"
    assert first.params["weights.cmap"] == "magma"
    same = {name: value for name, value in first.metrics.items() if name not in TIMES}
    assert {name: again.metrics[name] for name in same} == same
    digest = "mlrun.weights_sha256"
    assert again.tags[digest] == first.tags[digest]
    assert (first.tags["mlrun.recipe"], again.tags["mlrun.recipe"]) == (
        "wide.yaml",
        "settings.yaml",
    )


def test_what_is_shown_of_a_recipe_is_a_recipe_that_means_the_same(
    home: Path, command: Command
) -> None:
    text = "A perceptron: " + "wide, " * 40 + "# and deep. Another sentence.\n\nA paragraph.\nEnd."
    below = "  " + text.replace("\n", "\n  ")
    write(small=SMALL, wide=f"base: small.yaml\ndescription: |\n{below}\nmodel.widths: [9, 9]\n")
    code, shown, _ = command("recipes", "wide.yaml")
    assert code == 0
    assert max(map(len, shown.splitlines())) <= 100
    assert "base" not in yaml.safe_load(shown)
    write(mine=shown)
    mine, wide = recipes.load("mine.yaml"), recipes.load("wide.yaml")
    assert (mine.values, mine.about) == (wide.values, wide.about)
    assert mine.about["description"] == text
    assert plan_of({"recipe": "mine.yaml"}).params() == plan_of({"recipe": "wide.yaml"}).params()
    write(few="epochs: 1", none="{}")
    assert command("recipes", "few.yaml")[1] == "epochs: 1\n"
    assert command("recipes", "none.yaml")[1] == "{}\n"


def test_json_tells_all_there_is_of_a_recipe(home: Path, command: Command) -> None:
    write(small=SMALL)
    found = json.loads(command("recipes", "small.yaml", "--json")[1])
    assert found.pop("settings") == recipes.load("small.yaml").values
    assert found == {
        "name": "small.yaml",
        "description": "A small perceptron. It is quick.",
        "source": "this test",
        "expect": "nothing",
        "file": str(Path("small.yaml").resolve()),
    }
    everything = json.loads(command("recipes", "--json")[1])
    assert [entry["name"] for entry in everything["recipes"]] == recipes.names()
    assert everything["broken"] == []


@pytest.mark.parametrize("name", recipes.names())
def test_each_shipped_recipe_describes_itself_and_is_shown_whole(
    name: str, home: Path, command: Command
) -> None:
    recipe = recipes.load(name)
    assert set(recipe.about) == {"description", "source", "expect"}
    assert len(recipe.summary) <= 160
    assert recipe.summary.endswith(".")
    Path("mine.yaml").write_text(command("recipes", name)[1])
    assert plan_of({"recipe": "mine.yaml"}).params() == plan_of({"recipe": name}).params()


def test_the_list_shows_first_sentences_and_names_what_is_broken(home: Path) -> None:
    project = checkout(home / "project")
    shipped = project / "recipes"
    long = "Words " * 30 + "end. A second sentence that nobody must read here."
    (shipped / "long.yaml").write_text(f"description: {long}\nbase: digits\n")
    (shipped / "bad-yaml.yaml").write_text("a: [")
    (shipped / "bad-name.yaml").write_text("base: digits\nepohcs: 3\n")
    (shipped / "bad-base.yaml").write_text("base: digit\n")

    def listed(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "mlrun", "recipes", *args],
            capture_output=True,
            text=True,
            cwd=project,
            env={**os.environ, "PYTHONPATH": str(project)},
        )

    done = listed()
    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) <= 100
    text = " ".join(done.stdout.split())
    assert f"long {'Words ' * 30}end." in text
    assert "A second sentence" not in text
    assert "bad-base base: unknown recipe digit; did you mean digits?" in text
    assert "bad-name unknown setting epohcs; did you mean epochs?" in text
    assert "bad-yaml line 1, column 5: while parsing a flow" in text
    found = json.loads(listed("--json").stdout)
    assert [entry["name"] for entry in found["broken"]] == ["bad-base", "bad-name", "bad-yaml"]
    assert {"digits", "long"} <= {entry["name"] for entry in found["recipes"]}
    one = listed("bad-name")
    assert (one.returncode, one.stdout) == (2, "")
    assert one.stderr.startswith("Error: recipe bad-name: unknown setting epohcs;")
