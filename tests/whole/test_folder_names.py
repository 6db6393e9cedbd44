"""Folders may have any name: the store, the state, files and pages lie where they should."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient
from PIL import Image

from mlrun.errors import MlrunError
from mlrun.record import store as store_module
from mlrun.record.opening import open_run
from mlrun.settings.file_lists import files_of

Command = Callable[..., tuple[int, str, str]]
NAMES = [
    "my project",
    "100% sure",
    "naïve #1 猫",
    "what?",
    "?a=b&c;d",
    "a%20b%3Fc",
    "a,b",
    'it\'s "new"\nline',
    "-x",
    "~",
    "[x]{y}*$HOME:\\",
]
PLUGIN = """
import math
import mlrun

def own(shape, classes):
    from torch import nn

    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), classes))

@mlrun.hookimpl
def register_models(register):
    register(own)
"""


@pytest.fixture(autouse=True)
def without_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")


def enter(folder: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Goes to a new folder with a store that has tables, which take long, and no experiment."""
    folder.mkdir(parents=True)
    shutil.copy(empty_database, folder)
    with sqlite3.connect(folder / "mlflow.db") as database:
        database.execute("DELETE FROM experiments")
    database.close()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MLRUN_HOME", str(folder / "state"))


@pytest.mark.parametrize("name", NAMES)
def test_everything_may_lie_in_a_folder_of_any_name(
    tmp_path: Path,
    empty_database: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: Command,
    name: str,
) -> None:
    folder = tmp_path / "around" / name
    enter(folder, empty_database, monkeypatch)
    (folder / "plug.py").write_text(PLUGIN)
    for number in range(12):
        path = folder / f"data/train/{'cat' if number % 2 else 'dog'}/{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), 20 * number, np.uint8)).save(path)
    picture = str(folder / "data/train/cat/1.png")

    def run(*arguments: str) -> str:
        code, out, err = command(*arguments)
        assert code == 0, err
        return out

    data = ["--dataset", "image-folder", "--dataset.path", str(folder / "data")]
    model = ["--model", "own", "--plugin", str(folder / "plug.py")]
    options = ["--epochs", "1", "--visualisers", "weights", "--log-model", "false", "--quiet"]
    run_id = run("train", *data, *model, *options).strip()
    assert run_id in run("runs")
    assert run("predict", run_id, picture).splitlines()[1].startswith(picture[:9])
    run("report", run_id, "--output", str(folder / "a page.html"))
    assert (folder / "a page.html").stat().st_size > 10_000
    assert (folder / "mlruns/0" / run_id / "artifacts/report.html").exists()
    assert [path.name for path in (tmp_path / "around").iterdir()] == [name]
    expected = {"a page.html", "data", "mlflow.db", "mlruns", "plug.py", "state"}
    assert {path.name for path in folder.iterdir()} == expected


def test_each_folder_of_a_process_has_its_own_store(
    tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = {}
    for name in ("what?", "100%", "plain", "a b", "what?/else?"):
        enter(tmp_path / name, empty_database, monkeypatch)
        tracker = open_run("mine", "named", {})
        tracker.artifact("note.txt", name)
        tracker.close("FINISHED")
        assert not tracker.lost
        runs[name] = tracker.run_id
    for name, run_id in runs.items():
        monkeypatch.chdir(tmp_path / name)
        client = MlflowClient(store_module.address())
        experiments = [found.experiment_id for found in client.search_experiments()]
        assert [run.info.run_id for run in client.search_runs(experiments)] == [run_id]
        (note,) = Path("mlruns").rglob("note.txt")
        assert note.read_text() == name


def test_an_address_is_read_as_sqlalchemy_reads_it(tmp_path: Path) -> None:
    assert store_module.file_of(f"sqlite:///{tmp_path}/a b.db") == tmp_path / "a b.db"
    assert store_module.file_of("sqlite:///x.db?timeout=5") == Path("x.db")
    for address in ("sqlite://", "sqlite:///:memory:", "sqlite:///file:x?uri=true", "http://x/y"):
        assert store_module.file_of(address) is None
    with pytest.raises(MlrunError, match="after a question mark SQLAlchemy expects options; go"):
        store_module.check(f"sqlite:///{tmp_path}/what?/mlflow.db")
    with pytest.raises(MlrunError, match=r"tracking store sqlite:x: .*; expected sqlite:///PATH"):
        store_module.check("sqlite:x")


def test_a_folder_that_mlflow_cannot_address_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / os.fsdecode(b"\xff")
    folder.mkdir()
    monkeypatch.chdir(folder)
    with pytest.raises(MlrunError, match=r"udcff': MLflow cannot log into a folder whose name"):
        store_module.address()


@pytest.mark.parametrize(
    "arguments",
    [
        ["runs"],
        ["train", "--recipe", "digits"],
        ["plugins"],
        ["recipes"],
        ["report", "abcd"],
        ["ui"],
    ],
)
def test_a_working_directory_that_was_deleted_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command, arguments: list[str]
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    expected = "Error: the working directory was deleted; go to a folder that is there: cd\n"
    try:
        assert command(*arguments) == (2, "", expected)
        with pytest.raises(MlrunError, match="the working directory was deleted"):
            store_module.address()
    finally:
        os.chdir(tmp_path)


def test_a_process_that_starts_in_a_deleted_directory_says_so(tmp_path: Path) -> None:
    code = (
        "import os, sys; os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone'); "
        "os.execv(sys.executable, [sys.executable, '-m', 'mlrun', 'runs'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: the working directory was deleted")
    assert done.stderr.count("\n") == 1


def test_a_comma_within_a_path_is_not_one_between_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for path in (Path("a,b/c,d.py"), Path("a"), Path(" e .py")):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert files_of("a,b/c,d.py,x.py, y.py") == ("a,b/c,d.py", "x.py", "y.py")
    assert files_of("a,b") == ("a", "b")
    assert files_of(["a,b/c,d.py", " e .py"]) == files_of("a,b/c,d.py, e .py")
    assert files_of("none") == files_of(None) == files_of([]) == ()
    for wrong in ("a,a", "a,,b", 3, [3]):
        with pytest.raises(ValueError, match="expected"):
            files_of(wrong)
    assert mlflow.get_tracking_uri()
