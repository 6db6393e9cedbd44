"""What MLflow says to a request, of a value or a database, and the model that is sent to it."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest
from mlflow.entities import LoggedModel
from mlflow.exceptions import MlflowException, RestException
from mlflow.models import Model
from mlflow.protos.databricks_pb2 import BAD_REQUEST, INVALID_PARAMETER_VALUE
from sqlalchemy import exc

from mlrun.record.sending import address_model, is_refused

INSERT = ("INSERT INTO tags VALUES (?)", ("x",))
ERRORS = {  # as drivers raise them, and whether the value is the cause
    "malformed": (exc.DatabaseError(*INSERT, sqlite3.DatabaseError("malformed")), False),
    "closed": (exc.InterfaceError(*INSERT, sqlite3.InterfaceError("closed")), False),
    "read-only": (exc.InternalError(*INSERT, sqlite3.InternalError("read-only")), False),
    "no connection": (exc.TimeoutError("QueuePool limit of size 5 reached", code="3o7r"), False),
    "rolled back": (exc.PendingRollbackError("rolled back", code="8s2b"), False),
    "too large": (exc.DataError(*INSERT, sqlite3.DataError("too large")), True),
    "there twice": (exc.IntegrityError(*INSERT, sqlite3.IntegrityError("UNIQUE")), True),
}


@pytest.mark.parametrize("name", ERRORS)
def test_a_database_that_ails_refuses_nothing_for_good(name: str) -> None:
    error, is_of_value = ERRORS[name]
    here = MlflowException(message=error, error_code=BAD_REQUEST)  # as MLflow's store does
    assert is_refused(here) is is_of_value
    there = RestException({"error_code": "BAD_REQUEST", "message": str(error)})  # of a server
    assert is_refused(there) is is_of_value


@pytest.mark.parametrize(
    ("name", "is_of_value"),
    [
        ("ReadOnlySqlTransaction", False),
        ("InFailedSqlTransaction", False),
        ("DataError", True),
        ("UniqueViolation", True),
        ("StringDataRightTruncation", True),
    ],
)
def test_the_errors_of_postgresql_are_told_apart(name: str, is_of_value: bool) -> None:
    errors = pytest.importorskip("psycopg.errors", reason="pip install 'mlrun-vision[postgresql]'")
    kind = getattr(errors, name)
    error = exc.DBAPIError.instance(*INSERT, kind("says why"), errors.Error)
    assert is_refused(MlflowException(message=error, error_code=BAD_REQUEST)) is is_of_value


def test_what_mlflow_itself_finds_wrong_is_refused() -> None:
    assert is_refused(MlflowException("bad name", error_code=INVALID_PARAMETER_VALUE))
    assert is_refused(MlflowException("no such field", error_code=BAD_REQUEST))
    assert not is_refused(MlflowException("not there", error_code=1))
    assert not is_refused(ConnectionError("down"))


def test_the_description_of_a_kept_model_is_replaced_and_never_changed(tmp_path: Path) -> None:
    folder, before = tmp_path / "model", tmp_path / "before"
    folder.mkdir()
    Model(artifact_path="model", run_id="1" * 32).save(str(folder / "MLmodel"))
    os.link(folder / "MLmodel", before)  # what a process that is killed meanwhile leaves
    text = before.read_text()
    logged = LoggedModel("0", "m-1", "model", "file:///models/m-1", 0, 0)
    address_model(folder, logged, "2" * 32)
    assert before.read_text() == text
    loaded = Model.load(str(folder))
    assert (loaded.model_id, loaded.run_id) == ("m-1", "2" * 32)
    assert [path.name for path in folder.iterdir()] == ["MLmodel"]
