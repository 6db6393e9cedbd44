"""A store whose package is not installed is refused in a line that says what to install."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from mlrun.errors import MlrunError
from mlrun.record import drivers, opening
from mlrun.record.drivers import CLIENTS, INSTALL, check_artifacts, check_driver

Command = Callable[..., tuple[int, str, str]]
POSTGRES = "pip install 'mlrun-vision[postgresql]'"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if none of the packages were installed."""
    for module in (*INSTALL, *CLIENTS.values(), "pg8000"):
        monkeypatch.setitem(sys.modules, module, None)


@pytest.mark.parametrize(
    ("address", "end"),
    [
        (
            "mysql://ann:secret@db/x",
            "mysql:// needs the module MySQLdb: pip install mysqlclient, or",
        ),
        ("mysql+pymysql://db/x", "module pymysql: pip install 'mlrun-vision[mysql]'"),
        ("mssql://db/x", "mssql:// needs the module pyodbc: pip install 'mlrun-vision[mssql]'"),
        ("postgresql+psycopg2://db/x", f"needs the module psycopg2: {POSTGRES}"),
        ("postgresql+psycopg://db/x", f"needs the module psycopg: {POSTGRES}"),
        ("postgresql+pg8000://db/x", "needs the module pg8000: pip install pg8000"),
        ("postgresql+asyncpg://db/x", "asynchronous driver asyncpg; write postgresql://"),
        ("postgresql+nope://db/x", "postgresql.nope; expected postgresql://HOST:PORT/DATABASE"),
        ("postgresql://db:port/x", "'port'; expected postgresql://HOST:PORT/DATABASE"),
        ("mysql+a+b://db/x", "expected mysql://HOST:PORT/DATABASE"),
    ],
)
def test_a_database_without_its_driver(address: str, end: str) -> None:
    with pytest.raises(MlrunError) as caught:
        check_driver(address)
    message = str(caught.value)
    assert message.startswith(f"tracking store {address.replace('ann:secret', '***')}: ")
    assert end in message
    assert "\n" not in message


def test_commands_say_so_before_they_ask_the_server(
    home: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://ann:secret@127.0.0.1:1/x")
    for arguments in (["runs"], ["report", "abcd"], ["ui"], ["train", "--recipe", "digits"]):
        code, out, err = command(*arguments)
        assert (code, out) == (2, "")
        line = err.splitlines()[-1]
        assert line.startswith(
            "Error: tracking store postgresql://***@127.0.0.1:1/x: postgresql://"
        )
        assert line.endswith(POSTGRES)
        assert "Traceback" not in err


@pytest.mark.parametrize(
    ("address", "install"),
    [
        ("s3://bucket/runs", "the module boto3: pip install 'mlrun-vision[s3]'"),
        ("gs://bucket", "the module google.cloud.storage: pip install 'mlrun-vision[gs]'"),
        (
            "wasbs://c@a.blob.core.windows.net",
            "azure.storage.blob: pip install 'mlrun-vision[azure]'",
        ),
        ("abfss://c@a.dfs.core.windows.net", "filedatalake: pip install 'mlrun-vision[azure]'"),
        ("sftp://host/runs", "the module pysftp: pip install pysftp"),
    ],
)
def test_artifacts_without_their_client(address: str, install: str, store: str) -> None:
    MlflowClient().create_experiment("far", artifact_location=address)
    with pytest.raises(MlrunError, match=r"^artifacts at ") as caught:
        opening.open_run("mine", "far", {})
    assert install in str(caught.value)
    assert (
        MlflowClient().search_runs([e.experiment_id for e in MlflowClient().search_experiments()])
        == []
    )


def test_addresses_that_need_nothing_pass(tmp_path: Path) -> None:
    for location in ("mlflow-artifacts:/0", str(tmp_path), tmp_path.as_uri(), "C:/runs"):
        check_artifacts(location)
    assert drivers.is_there("importlib.util")


def test_the_extras_that_are_named_exist() -> None:
    file = Path(__file__).parents[2] / "pyproject.toml"
    extras = tomllib.loads(file.read_text())["project"]["optional-dependencies"]
    named = {text.split("[")[1].split("]")[0] for text in INSTALL.values() if "[" in text}
    assert named == {"postgresql", "mysql", "mssql", "s3", "gs", "azure"}
    assert named <= set(extras)


@pytest.mark.parametrize("address", ["oracle://ann:secret@db/x", "foo://x", "s3://bucket"])
def test_a_kind_of_store_that_there_is_none_of_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, command: Command, address: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    code, stdout, stderr = command("runs")
    shown, kind = address.replace("ann:secret", "***"), address.partition(":")[0]
    assert (code, stdout, stderr.count("\n")) == (2, "", 1)
    assert stderr.startswith(f"Error: tracking store {shown}: MLflow has none at {kind}://; expe")
