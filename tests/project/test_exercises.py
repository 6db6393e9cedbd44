"""The exercises that docs/systems.md lists are commands that work."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from checkouts import ROOT
from click.testing import CliRunner
from data_files import drawn, write_idx, write_table

from mlrun.cli.main import cli
from mlrun.settings import recipes

PAGE = (ROOT / "docs" / "systems.md").read_text(encoding="utf-8")
TABLE = PAGE.partition("<!-- exercises -->")[2].partition("<!-- end -->")[0]
ROWS = re.findall(
    r"^\| (\w) \| ([^|]+) \| `(mlrun train [^`]+)` \| ([^|]+) \|$", TABLE, re.MULTILINE
)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with MNIST's files, of 10,000 images, and tables of the same form."""
    root = tmp_path_factory.mktemp("data")
    for prefix, count in (("train", 10_000), ("t10k", 20)):
        folder = root / "MNIST" / "raw"
        write_idx(folder / f"{prefix}-images-idx3-ubyte", drawn(count, 28, 28, seed=count))
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", np.arange(count) % 10)
    for name in ("letters_train.csv", "letters_val.csv"):
        write_table(root / name, [n % 10 for n in range(40)], drawn(40, 784))
    return root


def test_each_system_has_exercises_and_a_result_for_each() -> None:
    assert {system for system, *_ in ROWS} == set("ABCDE")
    assert TABLE.count("`mlrun train") == len(ROWS)
    for _, asked, command, result in ROWS:
        assert re.fullmatch(r"pictures|0\.\d{4}( / 0\.\d{4})?", result), asked
        assert shlex.split(command)[3] in recipes.names()


@pytest.mark.parametrize("command", [row[2] for row in ROWS])
def test_the_command_of_an_exercise_works(command: str, data: Path, home: Path) -> None:
    more = ["--data-dir", str(data), "--dry-run"]
    if "alexnet" in command:
        more += ["--model.weights", "none"]
    if "letters" in command:
        more += ["--subset", "all"]  # the tables are short
    done = CliRunner().invoke(cli, [*shlex.split(command)[1:], *more])
    assert done.exit_code == 0, done.output
    assert " parameters: " in done.output
