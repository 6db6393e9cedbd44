"""The version of the settings: written by each run, kept, and refused where it is a later one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from mlrun.errors import MlrunError
from mlrun.settings import Settings, recipes
from mlrun.settings.plan import plan_of
from mlrun.settings.recalled import recall
from mlrun.settings.versions import VERSION, version_of

Command = Callable[..., tuple[int, str, str]]
WRITTEN_BY_VERSION_1 = yaml.safe_load(
    (Path(__file__).parents[1] / "frozen_runs/1/mlp/artifacts/settings.yaml").read_text()
)


def test_settings_that_a_run_wrote_without_a_version_are_of_the_first() -> None:
    assert version_of(WRITTEN_BY_VERSION_1) == 1
    assert version_of({"model": "mlp", "seed": 3, "validation": 0.2}) == VERSION
    assert version_of({"settings_version": "1", "model": "mlp"}) == 1


def test_settings_of_the_first_version_draw_as_it_drew(home: Path) -> None:
    Path("old.yaml").write_text(yaml.safe_dump(WRITTEN_BY_VERSION_1))
    Path("upon.yaml").write_text("base: old.yaml\nvalidation: 0.3\n")
    Path("said.yaml").write_text("settings_version: 1\nmodel: mlp\n")
    Path("own.yaml").write_text("model: mlp\nvalidation: 0.3\n")
    assert not recall(WRITTEN_BY_VERSION_1).settings.stratify
    assert not recall({"model": "mlp"}).settings.stratify  # a run's, with lines missing
    stratified = {
        name: plan_of({"recipe": name}).settings.stratify
        for name in ("old.yaml", "upon.yaml", "said.yaml", "own.yaml")
    }
    assert stratified == {
        "old.yaml": False, "upon.yaml": False, "said.yaml": False, "own.yaml": True,
    }  # fmt: skip
    assert plan_of({"recipe": "old.yaml", "stratify": True}).settings.stratify
    assert recall(yaml.safe_load(plan_of({}).recipe())).settings.stratify


def test_a_recipe_that_is_printed_means_the_same(home: Path) -> None:
    Path("old.yaml").write_text(yaml.safe_dump(WRITTEN_BY_VERSION_1))
    Path("again.yaml").write_text(recipes.load("old.yaml").text())
    Path("whole.yaml").write_text(plan_of({"recipe": "old.yaml"}).recipe())
    settings = plan_of({"recipe": "old.yaml"}).settings
    for name in ("again.yaml", "whole.yaml"):
        assert plan_of({"recipe": name}).settings == settings


@pytest.mark.parametrize("version", ["0", "-1", "newest", "1.5", "[1]", "null"])
def test_a_version_that_is_none_is_one_line(home: Path, version: str) -> None:
    Path("a.yaml").write_text(f"settings_version: {version}\n")
    with pytest.raises(MlrunError, match=r"^recipe a.yaml: settings_version: expected a whole num"):
        plan_of({"recipe": "a.yaml"})


def test_a_recipe_of_a_later_version_is_refused_in_one_line(home: Path, command: Command) -> None:
    Path("later.yaml").write_text(f"settings-version: {VERSION + 1}\nmodel: mlp\n")
    Path("upon.yaml").write_text("base: later.yaml\nepochs: 1\n")
    for name in ("later.yaml", "upon.yaml"):
        code, _, stderr = command("train", "--recipe", name)
        assert (code, len(stderr.splitlines())) == (2, 1)
        assert f"settings_version {VERSION + 1} is of a later mlrun; this one knows" in stderr
    with pytest.raises(MlrunError, match="is of a later mlrun"):
        Settings.parse({"settings_version": VERSION + 1})


def test_what_is_unknown_is_kept_as_it_is_and_a_fault_is_told_when_it_is_needed() -> None:
    recalled = recall({**WRITTEN_BY_VERSION_1, "held": [1], "epochs": "few", "lr": -1})
    assert recalled.unknown == {"held": [1]}
    assert recalled.understood("seed", "model").model == "mlp"
    for name, message in (("epochs", "got 'few'"), ("lr", "greater than 0, got '-1.0'")):
        with pytest.raises(MlrunError, match=f"^{name}: expected .*{message}"):
            recalled.understood(name)
