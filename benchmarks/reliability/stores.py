"""The stores that faults happen to: MLflow's server, and a cluster of PostgreSQL."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from benchmarks.slow_network import await_answer, free_port


class Skipped(Exception):
    """A fault cannot be tried here; the message says what to install or to be."""


@cache
def empty_store(folder: Path) -> Path:
    """Returns an SQLite store without runs, made once in `folder`; making it takes seconds."""
    made = folder / "empty.db"
    code = f"import mlflow; mlflow.MlflowClient('sqlite:///{made}').search_experiments()"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=folder)
    return made


def put_store(empty: Path, path: Path, artifacts: str) -> None:
    """Puts an empty store at a path, whose runs have their artifacts below an address."""
    shutil.copy(empty, path)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE experiments SET artifact_location = ?", [artifacts])
    database.close()


class Server:
    """MLflow's server over SQLite in a folder, artifacts and all.

    Args:
        folder: of the database and the artifacts.
        store: an empty one to start with.
        user, password: that it asks for, in MLflow's own way; empty for none.
    """

    def __init__(self, folder: Path, store: Path, user: str = "", password: str = "") -> None:
        self.folder, self.port = folder, free_port()
        self._empty, self._user, self._password = store, user, password
        folder.mkdir(parents=True)
        put_store(store, folder / "server.db", "mlflow-artifacts:/0")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Its address, with user and password."""
        return f"http://{in_address(self._user, self._password)}127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        command = [sys.executable, "-m", "mlflow", "server", "--workers", "1"]
        command += ["--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--backend-store-uri", f"sqlite:///{self.folder}/server.db"]
        command += ["--artifacts-destination", str(self.folder / "artifacts")]
        environment = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # which takes ten processes
        if self._user:
            command += ["--app-name", "basic-auth"]
            environment |= self._authentication()
        else:
            command += ["--disable-security-middleware"]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**os.environ, **environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        await_answer(self.port)

    def _authentication(self) -> dict[str, str]:
        """Returns the variables by which MLflow's server asks for the password, in no file."""
        settings = self.folder / "authentication.ini"
        settings.write_text(
            "[mlflow]\ndefault_permission = READ\n"
            f"database_uri = sqlite:///{self.folder}/users.db\nadmin_username = {self._user}\n"
            "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
        )
        return {
            "MLFLOW_AUTH_CONFIG_PATH": str(settings),
            "MLFLOW_AUTH_ADMIN_PASSWORD": self._password,
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "of the pages' forms",
        }

    def signal(self, number: int) -> None:
        """Sends a signal to it and its workers."""
        if self._process is not None:
            os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """Kills it and its workers."""
        if self._process is not None:
            self.signal(signal.SIGKILL)
            self._process.wait(30)
            self._process = None

    def forget(self) -> None:
        """Gives it an empty database while it is down, and puts its own by."""
        (self.folder / "server.db").rename(self.folder / "own.db")
        put_store(self._empty, self.folder / "server.db", "mlflow-artifacts:/0")

    def remember(self) -> None:
        """Gives it back its database while it is down."""
        (self.folder / "own.db").replace(self.folder / "server.db")


def in_address(user: str, password: str) -> str:
    """Returns user and password as they stand in an address before the host; empty for none."""
    return f"{user}:{quote(password, safe='')}@" if user else ""


def can_ask_for_passwords() -> bool:
    """Whether what MLflow's server needs for that is installed: pip install 'mlflow[auth]'."""
    return find_spec("flask_wtf") is not None


@contextmanager
def served(folder: Path, store: Path, user: str = "", password: str = "") -> Iterator[Server]:
    """Runs MLflow's server; see `Server`."""
    server = Server(folder, store, user, password)
    try:
        server.start()
        yield server
    finally:
        server.kill()


class Postgres:
    """A cluster of PostgreSQL in a folder; it runs as `postgres` where we are root."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self._programs = programs()
        self._user = "postgres" if os.geteuid() == 0 else None
        folder.mkdir(parents=True)
        if self._user:
            shutil.chown(folder, self._user)
            for parent in folder.parents:  # so that it can be reached
                if parent.stat().st_uid == os.geteuid() and parent.stat().st_mode & 0o77 == 0:
                    parent.chmod(0o711)
        self._run("initdb", "-D", str(folder / "data"), "-A", "trust", "-U", "mlrun")

    @property
    def address(self) -> str:
        """Its address, of the database that is always there."""
        return f"postgresql://mlrun@127.0.0.1:{self.port}/postgres"

    def start(self, wait: str = "-w") -> None:
        """Starts it; waits until it lets in, unless that is `-W`."""
        # no socket in the file system, where a path may have 107 characters at most
        options = f"-p {self.port} -c unix_socket_directories='' -c fsync=off"
        log = str(self.folder / "log")
        self._run(
            "pg_ctl", wait, "-D", str(self.folder / "data"), "-l", log, "-o", options, "start"
        )

    @contextmanager
    def starting_up(self) -> Iterator[None]:
        """Starts it, and keeps it from letting anybody in meanwhile: it waits for a file."""
        go = self.folder / "go"
        wait = f"while [ ! -e {go} ]; do sleep 0.1; done; false"
        with (self.folder / "data/postgresql.auto.conf").open("a") as settings:
            settings.write(f"restore_command = '{wait}'\nhot_standby = off\n")
        (self.folder / "data/recovery.signal").touch()
        self.start("-W")
        try:
            yield
        finally:
            go.touch()

    def set(self, name: str, value: str) -> None:
        """Gives a setting another value from now on, whoever is connected."""
        with (self.folder / "data/postgresql.auto.conf").open("a") as settings:
            settings.write(f"{name} = {value}\n")  # the last line counts
        self._run("pg_ctl", "-D", str(self.folder / "data"), "reload")

    def stop(self, mode: str) -> None:
        """Stops it, fast or immediate."""
        self._run("pg_ctl", "-w", "-D", str(self.folder / "data"), "-m", mode, "stop")

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._programs / program), *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=self._user,
            cwd="/",
        )


def programs() -> Path:
    """Returns the folder with initdb and pg_ctl.

    Raises:
        Skipped: there is none, or no driver.
    """
    from mlrun.errors import MlrunError
    from mlrun.record.drivers import check_driver

    found = shutil.which("initdb")
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found and not places:
        raise Skipped("no PostgreSQL: apt-get install postgresql")
    try:
        check_driver("postgresql://127.0.0.1/postgres")
    except MlrunError as error:
        raise Skipped(str(error)) from None
    return (Path(found).resolve() if found else places[-1]).parent


@contextmanager
def cluster(folder: Path) -> Iterator[Postgres]:
    """Runs a cluster of PostgreSQL."""
    postgres = Postgres(folder)
    postgres.start()
    try:
        yield postgres
    finally:
        with suppress(subprocess.CalledProcessError):  # it is down
            postgres.stop("immediate")
