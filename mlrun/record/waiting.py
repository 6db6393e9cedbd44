"""Waits for a store that is there and cannot be used yet: locked, starting up, being opened."""

from __future__ import annotations

import logging
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TypeVar

from filelock import FileLock, Timeout

from mlrun.errors import MlrunError, first_of, one_line, redact
from mlrun.machine.calls import answered
from mlrun.machine.interrupts import interruptible
from mlrun.record import store

LOG = logging.getLogger("mlrun.store")
T = TypeVar("T")
LONGEST = 120.0  # seconds: how long a start waits for a store that cannot be used yet
SILENT = 5.0  # seconds of it without a word, as another run's start or a long write takes
NO_WORD = 20.0  # seconds: as long as a database may take to be made, and no tries come to an end
PAUSE = 0.5  # seconds between two tries
HELD = 0.5  # seconds: how long one try waits for who has a lock
ANSWER = 10  # seconds: how long a database may take to let a connection in
BUSY = re.compile(
    r"database (table )?is (locked|busy)"
    r"|the database system is (starting up|shutting down|in recovery mode|not (yet )?accepting)"
    r"|too many (clients|connections)|remaining connection slots"
    r"|TEMPORARILY_UNAVAILABLE|too many (429|5\d\d) error|error code (429|5\d\d)\b",
    re.IGNORECASE,
)
UNKNOWN_USER = re.compile(r"error code 401\b|401 Client Error")


class Busy(MlrunError):
    """The store is there, but cannot be used yet."""


def refusal(uri: str, error: Exception) -> MlrunError:
    """Returns the error for a store that could not be opened: `Busy` where it may be later."""
    reason = one_line(first_of(error))
    if UNKNOWN_USER.search(reason):
        reason = (
            "it does not take the user and password, or lacks them; set MLFLOW_TRACKING_USERNAME "
            "and MLFLOW_TRACKING_PASSWORD"
        )
    kind = Busy if BUSY.search(f"{error} {reason}") else MlrunError
    return kind(f"tracking store {redact(uri)}: {reason}")


@contextmanager
def alone(uri: str, wait: float | None = None) -> Iterator[None]:
    """Keeps the other processes of this machine from opening the store meanwhile.

    Two that create the tables of one store at once break it.

    Args:
        uri: of the store.
        wait: seconds for another process; None for a moment.

    Raises:
        Busy: another one is opening it.
    """
    lock = FileLock(store.lock_path(uri))
    try:
        lock.acquire(timeout=HELD if wait is None else wait)
    except Timeout:
        raise Busy(
            f"tracking store {redact(uri)}: another process is opening it, and holds "
            f"{lock.lock_file}"
        ) from None
    try:
        yield
    finally:
        lock.release()


def check_free(uri: str, *, writing: bool = True) -> None:
    """Tries whether the store at `uri` can be used now; MLflow would try for long, without a word.

    Args:
        uri: of the store.
        writing: whether it is to be written, or only read.

    Raises:
        Busy: not yet.
        MlrunError: a database does not let us in.
    """
    path = store.file_of(uri)
    if path is not None and path.is_file():
        try:
            with closing(sqlite3.connect(path, HELD, isolation_level=None)) as connection:
                connection.execute("BEGIN IMMEDIATE" if writing else "SELECT 1 FROM sqlite_master")
        except sqlite3.Error as error:  # of a file that is no database MLflow will tell
            if BUSY.search(str(error)):
                raise refusal(uri, error) from None
    elif uri.partition(":")[0].partition("+")[0] in store.DATABASE_PORTS:
        connect(uri)


def connect(uri: str) -> None:
    """Connects to a database once; raises Busy, or MlrunError, where it does not let us in."""
    from sqlalchemy import create_engine, make_url
    from sqlalchemy.pool import NullPool

    kind = make_url(uri).get_backend_name()
    limit = {"connect_timeout": ANSWER} if kind in ("postgresql", "mysql") else {}
    try:
        create_engine(uri, poolclass=NullPool, connect_args=limit).connect().close()
    except Exception as error:  # SQLAlchemy's own, the driver's
        raise refusal(uri, error) from None


class Patience:
    """How long somebody waits for a store that cannot be used yet.

    Args:
        longest: seconds in all.
        tell: called once, with a line, when it takes longer than a moment.
    """

    def __init__(
        self, longest: float | None = None, tell: Callable[[str], None] | None = None
    ) -> None:
        self._longest = LONGEST if longest is None else longest
        self._tell = tell or (lambda text: LOG.warning("%s", text))
        self._since: float | None = None
        self._told = False

    def wait(self, busy: Busy) -> None:
        """Waits a moment before the next try; raises MlrunError when there was enough of that."""
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        if now - self._since >= self._longest:
            raise MlrunError(
                f"{busy}, still after {self._longest:g} s; end what keeps it, or set "
                "MLFLOW_TRACKING_URI to another store"
            )
        if now - self._since >= SILENT and not self._told:
            self._told = True
            self._tell(f"{busy}; waiting for it, {self._longest:g} s at most")
        with interruptible():
            time.sleep(PAUSE)

    def tell_of_silence(self, seconds: float) -> None:
        """Tells, once, that the store has said nothing for so long, if that is long."""
        if seconds >= NO_WORD and not self._told:
            self._told = True
            self._tell("the tracking store has not answered yet; waiting for it, until Ctrl-C")


def patiently(
    work: Callable[[], T],
    patience: Patience | None = None,
    late: Callable[[T], object] = lambda result: None,
) -> T:
    """Returns what `work` does, which is called again while the store cannot be used yet.

    One that says nothing at all is waited for until a signal comes.

    Args:
        work: to be called.
        patience: how long; two minutes by default.
        late: called with what `work` returns once nobody waits for it any more.

    Raises:
        MlrunError: it could not in that time.
        Unanswered: a signal came first.
    """
    patience = patience or Patience()
    while True:
        try:
            return answered(work, late, slow=patience.tell_of_silence)
        except Busy as busy:
            patience.wait(busy)
