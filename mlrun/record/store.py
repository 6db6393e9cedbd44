"""The tracking store: its address, and whether it answers."""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import quote, urlsplit

from mlrun.errors import MlrunError, one_line, redact
from mlrun.record.drivers import check_driver
from mlrun.record.folders import state_folder, working_directory
from mlrun.seam.files import NO_FILE, fault_of_file

PATIENCE = 10.0  # seconds: how long a server may take to answer before a run is refused
DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
KINDS = ("", "file", "sqlite", "http", "https", "databricks", "databricks-uc", "uc")  # besides
DEFAULT = "mlflow.db"  # MLflow's store in the working directory
FOLDERS: dict[str, str] = {}  # by the address that this process made of it
ARTIFACT_ROOT = "_MLFLOW_SERVER_ARTIFACT_ROOT"  # read by MLflow where it opens a store


def without_bars() -> None:
    """Turns off MLflow's progress bar for each file, which it shows where tqdm is installed.

    A value that the user has set for the variable stays.
    """
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")


def let_us_wait() -> None:
    """Has MLflow fail soon where a server does, as an outbox does the waiting, and print no links.

    Values that the user has set for the variables stay.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    # seconds: more than the 20 for which MLflow's server waits for a locked SQLite file
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # we print them


def address() -> str:
    """Returns the address of the tracking store in use.

    MLflow percent-encodes that of its default, a file in the working directory, and then takes the
    encoded text for a path: in `my project` it would make a folder `my%20project`. Here that
    default is the file itself, for MLflow's own calls in this process and its children too.

    Raises:
        MlrunError: the working directory was deleted, or has a name that MLflow cannot address.
    """
    import mlflow

    folder = working_directory()
    if FOLDERS.get(os.environ.get("MLFLOW_TRACKING_URI", ""), folder) != folder:
        del os.environ["MLFLOW_TRACKING_URI"]  # which was set below, for another folder
    try:
        uri: str = mlflow.get_tracking_uri()
    except UnicodeEncodeError:
        raise MlrunError(
            f"working directory {folder!a}: MLflow cannot log into a folder whose name is not "
            "UTF-8; go to another folder, or set MLFLOW_TRACKING_URI"
        ) from None
    path = f"{folder}/{DEFAULT}"
    encoded = quote(path, errors="surrogateescape")
    if uri == f"sqlite:///{encoded}" and encoded != path:
        uri = os.environ["MLFLOW_TRACKING_URI"] = own_address(folder)
    return uri


def own_address(folder: str) -> str:
    """Returns the address of MLflow's default store in a folder, without percent-encoding.

    Where SQLAlchemy would read the path otherwise, it is relative: after a question mark it expects
    options, and from version 2.1 on it decodes percent signs. Of one address MLflow remembers the
    file, so that each folder of a process has its own.
    """
    for uri, known in FOLDERS.items():
        if known == folder:
            return uri
    path = f"{folder}/{DEFAULT}"
    uri = (
        f"sqlite:///{'./' * len(FOLDERS)}{DEFAULT}"
        if {"?", "%"} & set(path)
        else f"sqlite:///{path}"
    )
    FOLDERS[uri] = folder
    return uri


@contextmanager
def artifacts_beside(uri: str) -> Iterator[None]:
    """Has MLflow, while it opens the store at `uri`, address artifacts beside it rightly.

    By itself it takes the folder's name, as it is, for an address: `a%20b` for `a b`.
    """
    if uri not in FOLDERS or ARTIFACT_ROOT in os.environ:
        yield
        return
    os.environ[ARTIFACT_ROOT] = Path(FOLDERS[uri], "mlruns").as_uri()
    try:
        yield
    finally:
        del os.environ[ARTIFACT_ROOT]


def check_kind(uri: str, kind: str) -> None:
    """Raises MlrunError where neither MLflow nor a plugin of it has stores at such addresses."""
    others = entry_points(group="mlflow.tracking_store").names
    if kind not in KINDS and kind not in DATABASE_PORTS and kind not in others:
        raise MlrunError(
            f"tracking store {redact(uri)}: MLflow has none at {kind}://; expected sqlite:///FILE, "
            "http://HOST:PORT, or a database: postgresql://, mysql:// or mssql://"
        )


def check(uri: str) -> None:
    """Raises MlrunError unless the server at `uri` answers within 10 seconds.

    A store that is a file needs no answer. What a database needs must be installed.
    """
    parts = urlsplit(uri)
    check_kind(uri, parts.scheme.partition("+")[0])
    if parts.scheme == "sqlite":
        check_file(uri)
    if parts.scheme.partition("+")[0] in DATABASE_PORTS:
        check_driver(uri)
    try:
        if parts.scheme in ("http", "https"):
            ask_http(uri)
        elif (kind := parts.scheme.partition("+")[0]) in DATABASE_PORTS and parts.hostname:
            address = (parts.hostname, parts.port or DATABASE_PORTS[kind])
            socket.create_connection(address, PATIENCE).close()
    except (OSError, ValueError) as error:
        reason = (
            "no answer within 10 s" if isinstance(error, TimeoutError) else "it does not answer"
        )
        raise MlrunError(
            f"tracking server {redact(uri)}: {reason}; start it, or unset MLFLOW_TRACKING_URI "
            "to log into a local file"
        ) from error


def file_of(uri: str) -> Path | None:
    """Returns the file that an SQLite store is, as SQLAlchemy reads its address.

    None of any other store, and of one that is in memory or an SQLite address of its own.

    Raises:
        MlrunError: it is not an address, or names a folder with a question mark.
    """
    if urlsplit(uri).scheme.partition("+")[0] != "sqlite":
        return None  # whatever else the scheme means: SQLAlchemy takes a while to import
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(uri)
    except ArgumentError as error:
        raise MlrunError(
            f"tracking store {uri}: {one_line(error)}; expected sqlite:///PATH"
        ) from None
    if "/" in uri.partition("?")[2]:
        raise MlrunError(
            f"tracking store {uri}: after a question mark SQLAlchemy expects options; go to the "
            "folder of the store and unset MLFLOW_TRACKING_URI"
        )
    name = url.database or ":memory:"
    return None if name == ":memory:" or name.startswith("file:") else Path(name)


def check_file(uri: str) -> None:
    """Raises MlrunError unless the SQLite file of the store can be written; MLflow retries long."""
    path = file_of(uri)
    if path is None:
        return
    path = Path(os.path.realpath(path))  # SQLite makes the file that a link leads to
    fault = fault_of_file(path)
    try:
        if not fault:
            path.open("r+b").close()
        elif fault == NO_FILE:
            tempfile.TemporaryFile(dir=path.parent).close()
            fault = ""
    except OSError as error:
        fault = one_line(error)
    if fault:
        raise MlrunError(
            f"tracking store {uri}: cannot be written ({fault}); go to a folder that you can "
            "write, or set MLFLOW_TRACKING_URI"
        )


def ask_http(uri: str) -> None:
    """Raises OSError unless an HTTP server at `uri` answers within 10 seconds."""
    import requests

    verify = os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() != "true"
    try:
        requests.get(
            f"{uri.rstrip('/')}/health", timeout=PATIENCE, verify=verify, stream=True
        ).close()
    except requests.Timeout as error:
        raise TimeoutError from error


def public(uri: str) -> str:
    """Returns an address without user, password and other secrets; of a file, its whole path.

    >>> public("postgresql://ann:secret@db.example/mlflow")
    'postgresql://db.example/mlflow'
    """
    path = uri.removeprefix("sqlite:///")
    if path != uri and path != ":memory:":
        return f"sqlite:///{Path(path).absolute()}"
    return redact(uri).replace("://***@", "://")


def lock_path(uri: str) -> str:
    """Returns the file that is locked while the store at `uri` is opened or created.

    Two processes that create the tables of one store at once break it.
    """
    folder = state_folder() / "locks"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MlrunError(
            f"cannot make {folder} ({one_line(error)}); set MLRUN_HOME to another folder"
        ) from None
    return str(folder / f"{hashlib.sha256(uri.encode()).hexdigest()[:16]}.lock")


def first_use(uri: str) -> bool:
    """Whether `uri` is an SQLite file that is not there yet; making it takes some seconds."""
    path = file_of(uri)
    return path is not None and not path.exists() and sys.platform != "win32"
