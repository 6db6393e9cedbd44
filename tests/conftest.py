"""Fixtures of all tests: a tracking store of their own, and plugins made on the spot.

A folder holds the tests of the part of `mlrun` of its name; `models`, `datasets` and `visualisers`
those of the first-party plugins. `whole` has the tests that need servers, browsers or environments
of their own; `project` those of what holds the project together: imports, documentation,
benchmarks. `example_plugin` is the tutorial's plugin, `example_plugin_0_1` as it was in 0.1.
Modules with what several folders share lie here, others in the folder that uses them; a test
imports from those, never from a `conftest.py`.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started in the background by a script
    signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the cores are taken: by the tests beside this one


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite store with MLflow's tables and no runs; making one takes seconds, so once."""
    folder = tmp_path_factory.mktemp("database")
    code = "import mlflow; mlflow.MlflowClient('sqlite:///mlflow.db').search_experiments()"
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True)
    return folder / "mlflow.db"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory and state folder."""
    monkeypatch.setenv("MLRUN_HOME", str(tmp_path / "state"))
    for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"):
        monkeypatch.delenv(name, raising=False)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


@pytest.fixture
def store(home: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a fresh tracking store, which is the one in use."""
    path = home / "mlflow.db"
    shutil.copy(empty_database, path)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE experiments SET artifact_location = ?", [str(home / "mlruns/0")])
    database.close()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{path}")
    return f"sqlite:///{path}"


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> tuple[Path, str]:
    """A folder with a store in which one small run has finished, and the run's id."""
    from runs import TRAINED

    folder = tmp_path_factory.mktemp("trained")
    shutil.copy(empty_database, folder)
    move_store(folder / "mlflow.db", empty_database.parent, folder)
    options = [f"--{name}={value}" for name, value in TRAINED.items()]
    done = subprocess.run(
        [sys.executable, "-m", "mlrun", "train", "--quiet", *options],
        cwd=folder,
        env={
            **os.environ,
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
            "MLRUN_HOME": str(folder / "state"),
        },
        check=True,
        capture_output=True,
        text=True,
    )
    return folder, done.stdout.strip()


@pytest.fixture
def finished(home: Path, trained: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a finished run in a store of the test's own, which is the one in use."""
    folder, run_id = trained
    shutil.copy(folder / "mlflow.db", home)
    shutil.copytree(folder / "mlruns", home / "mlruns")
    move_store(home / "mlflow.db", folder, home)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home / 'mlflow.db'}")
    # MLflow 3.17 remembers by run id where artifacts lie: for this id, in another test's folder
    remembered = "mlflow.tracking._tracking_service.utils._artifact_repos_cache"
    monkeypatch.setattr(remembered, OrderedDict(), raising=False)
    return run_id


def move_store(database: Path, before: Path, after: Path) -> None:
    """Tells a store that its artifacts lie in another folder now."""
    with sqlite3.connect(database) as connection:
        for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
            connection.execute(
                f"UPDATE {table} SET {column} = replace({column}, ?, ?)", [str(before), str(after)]
            )
    connection.close()


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """The command line in this process, quicker than one of its own: exit code, stdout, stderr."""
    from mlrun.cli.main import main

    def command(*args: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as done:
            main(list(args))
        assert isinstance(done.value.code, int)
        return (done.value.code, *capsys.readouterr())

    return command


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """Puts back how loud the log is, which each command sets."""
    logger = logging.getLogger("mlrun")
    level, handlers = logger.level, logger.handlers
    yield
    logger.setLevel(level)
    logger.handlers = handlers


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Returns, a line each, what was logged to the user since it was last called."""
    caplog.set_level(logging.INFO, logger="mlrun")

    def told() -> str:
        text = "".join(f"{record.getMessage()}\n" for record in caplog.records)
        caplog.clear()
        return text

    return told


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Puts a plugin on the path as pip would: a module and its distribution's metadata."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def install(
        name: str, code: str, *, distribution: str | None = None, version: str = "1.0"
    ) -> Path:
        distribution = distribution or name
        module = f"plugin_{distribution}_{name}".replace("-", "_")
        (site / f"{module}.py").write_text(textwrap.dedent(code))
        info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        )
        with (info / "entry_points.txt").open("a") as file:
            file.write(f"[mlrun]\n{name} = {module}\n")
        monkeypatch.delitem(sys.modules, module, raising=False)
        return site / f"{module}.py"

    return install
