"""Packages that the address of a store needs: drivers of databases, clients of artifact stores."""

from __future__ import annotations

from importlib.util import find_spec
from urllib.parse import urlsplit

from mlrun.errors import MlrunError, one_line, redact

INSTALL = {  # by module, where the extra or package has another name
    "psycopg": "'mlrun-vision[postgresql]'",
    "psycopg2": "'mlrun-vision[postgresql]'",
    "pymysql": "'mlrun-vision[mysql]'",
    "MySQLdb": "mysqlclient, or pip install 'mlrun-vision[mysql]' and write mysql+pymysql://",
    "mysql": "mysql-connector-python",
    "pyodbc": "'mlrun-vision[mssql]'",
    "boto3": "'mlrun-vision[s3]'",
    "google.cloud.storage": "'mlrun-vision[gs]'",
    "azure.storage.blob": "'mlrun-vision[azure]'",
    "azure.storage.filedatalake": "'mlrun-vision[azure]'",
}
CLIENTS = {  # the module that MLflow imports for artifacts at an address
    "s3": "boto3",
    "r2": "boto3",
    "b2": "boto3",
    "gs": "google.cloud.storage",
    "wasbs": "azure.storage.blob",
    "abfss": "azure.storage.filedatalake",
    "hdfs": "pyarrow",
    "viewfs": "pyarrow",
    "sftp": "pysftp",
}


def check_driver(uri: str) -> None:
    """Raises MlrunError unless the driver of the database at `uri` is there, and is one for MLflow.

    Which one that is where the address names none, SQLAlchemy decides, each version anew.
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    shown = f"tracking store {redact(uri)}"
    scheme = urlsplit(uri).scheme
    kind, _, driver = scheme.partition("+")
    try:
        dialect = make_url(uri).get_dialect()
        if not dialect.is_async:
            dialect.import_dbapi()
            return
    except ImportError as error:
        module = error.name or dialect.driver
        broken = "" if isinstance(error, ModuleNotFoundError) else f"{one_line(error)}; "
        raise MlrunError(f"{shown}: {broken}{needed(module, f'{scheme}://')}") from None
    except (ArgumentError, ValueError) as error:  # a driver there is not, a port that is no number
        raise MlrunError(
            f"{shown}: {one_line(error)}; expected {kind}://HOST:PORT/DATABASE"
        ) from None
    raise MlrunError(
        f"{shown}: MLflow cannot use the asynchronous driver {driver}; write {kind}://…"
    )


def check_artifacts(location: str) -> None:
    """Raises MlrunError unless what MLflow needs for artifacts at `location` is installed."""
    scheme = urlsplit(location).scheme
    module = CLIENTS.get(scheme)
    if module is not None and not is_there(module):
        raise MlrunError(
            f"artifacts at {redact(location)}: {needed(module, f'artifacts at {scheme}://')}"
        )


def needed(module: str, what: str) -> str:
    """Returns the sentence that says what to install."""
    return f"{what} needs the module {module}: pip install {INSTALL.get(module, module)}"


def is_there(module: str) -> bool:
    """Whether a module can be found; imports no more than the packages it lies in."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package
        return False
