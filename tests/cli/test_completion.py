"""What the shell offers on TAB."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import BashComplete
from loading import HEAVY, loaded_by

from mlrun.cli.main import COMMANDS, cli
from mlrun.seam.registry import discover
from mlrun.settings import recipes

PLUGIN = """
import mlrun

def mine(shape, classes, *, depth: int = 1, wide: bool = False):
    pass

@mlrun.hookimpl
def register_models(register):
    register(mine)
"""


def offered(line: str) -> list[str]:
    """What is offered at the end of `line`, as click finds it."""
    *args, incomplete = line.split(" ")
    complete = BashComplete(cli, {}, "mlrun", "_MLRUN_COMPLETE")
    return [item.value for item in complete.get_completions(args, incomplete)]


def of_kind(kind: str) -> list[str]:
    return [component.name for component in discover().components if component.kind == kind]


def test_commands_and_options_are_offered() -> None:
    assert offered("") == list(COMMANDS)
    assert offered("pre") == ["predict"]
    assert offered("train --batch") == ["--batch-size"]
    assert offered("train --batch_s") == ["--batch-size"]
    assert "--rotate" in offered("evaluate 0123 --")
    assert offered("runs --ex") == ["--experiment"]


def test_components_are_offered_by_kind() -> None:
    assert set(offered("train --model ")) == set(of_kind("model"))
    assert set(offered("train --dataset ")) == set(of_kind("dataset"))
    assert set(offered("evaluate 0123 --dataset ")) == set(of_kind("dataset"))
    assert offered("train --model len") == ["lenet"]
    assert offered("plugins len") == ["lenet"]
    assert offered("train --dataset fashion_") == ["fashion-mnist"]


def test_visualisers_are_offered_after_each_comma_but_once() -> None:
    assert set(offered("train --visualisers ")) == set(of_kind("visualiser"))
    others = set(of_kind("visualiser")) - {"weights"}
    assert set(offered("train --visualisers weights,")) == {f"weights,{name}" for name in others}
    assert offered("train --visualisers weights,feat") == ["weights,feature-maps"]


def test_recipes_and_the_words_of_a_setting_are_offered() -> None:
    assert offered("train --recipe ") == offered("recipes ") == recipes.names()
    assert offered("train --optimiser ada") == ["adam", "adamw"]
    assert offered("train --shuffle ") == ["true", "false"]
    assert offered("train --validation o") == ["own"]
    assert offered("train --monitor train/") == ["train/loss", "train/accuracy"]
    assert offered("train --probe ch") == ["china"]
    assert offered("train --lr ") == []


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("train --model lenet --model.", {"--model.dropout", "--model.batch-norm"}),
        ("train --model mlp --model.w", {"--model.widths"}),
        ("train --model.ch", {"--model.channels"}),  # of the default
        ("train --recipe digits --model.ch", {"--model.channels"}),
        ("train --recipe digits --model lenet --model.ch", set()),
        ("train --weights.c", {"--weights.columns", "--weights.cmap"}),
        ("train --visualisers none --weights.c", set()),
        ("evaluate 0123 --dataset mnist --dataset.", {"--dataset.download"}),
        ("train --no-such.", set()),
        ("train --model no-such --model.", set()),
        (
            "train --recipe no-such --dataset mnist --dataset.d",
            {"--dataset.download"},
        ),
    ],
)
def test_dotted_options_are_those_of_the_components_so_far(line: str, options: set[str]) -> None:
    found = set(offered(line))
    assert options <= found
    assert bool(found) == bool(options)


def test_values_of_dotted_options_are_offered() -> None:
    assert offered("train --model mlp --model.activation r") == ["relu"]
    assert offered("train --model lenet --model.batch_norm ") == ["true", "false"]
    assert offered("train --model lenet --model.batch-norm = t") == ["true"]  # as bash splits it
    assert offered("train --model lenet --model.dropout ") == []


def test_plugin_files_on_the_line_count(home: Path) -> None:
    (home / "mine.py").write_text(PLUGIN)
    assert "mine" in offered("train --plugin mine.py --model ")
    assert offered("train --plugin mine.py --model mine --model.d") == ["--model.depth"]
    assert offered("train --plugin no.py --model len") == ["lenet"]


def test_a_wrong_line_breaks_nothing() -> None:
    assert offered("train --epohcs 3 --batch") == ["--batch-size"]
    assert "--epochs" not in offered("trian --")
    assert offered("plugins lenet mlp ") == []


def test_a_shell_gets_what_it_asks_for_and_nothing_heavy_is_loaded() -> None:
    environment = {
        **os.environ,
        "_MLRUN_COMPLETE": "bash_complete",
        "COMP_WORDS": "mlrun train --model lenet --model.d",
        "COMP_CWORD": "4",
    }
    done = subprocess.run(
        [sys.executable, "-m", "mlrun"], env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "plain,--model.dropout\n", "")
    words = {name: environment[name] for name in ("_MLRUN_COMPLETE", "COMP_WORDS", "COMP_CWORD")}
    code = f"import os\nos.environ.update({words!r})\nfrom mlrun.cli.main import main\nmain()"
    assert not loaded_by(code) & HEAVY


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_each_shell_names_the_command(shell: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mlrun"],
        env={**os.environ, "_MLRUN_COMPLETE": f"{shell}_source"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert f"_MLRUN_COMPLETE={shell}_complete" in done.stdout
