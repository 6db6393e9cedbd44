"""What MLflow, Alembic, SQLAlchemy and urllib3 print, kept away from the user."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

SEARCH = "mlrun-search"  # the thread that asks a server before a run is opened
SENDERS = ("mlrun-outbox", "mlrun-leftovers", SEARCH)  # how the names of such threads begin


@contextmanager
def quiet(level: int = logging.WARNING) -> Iterator[None]:
    """Hides MLflow's and Alembic's messages below a level; warnings still show."""
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(level)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def silent() -> AbstractContextManager[None]:
    """Hides all of these messages, where an error is raised that says why the store fails."""
    return quiet(logging.CRITICAL)


def quiet_threads() -> None:
    """Hides what libraries log in threads that send events; it says so itself when a store fails.

    MLflow logs a traceback for each try of a request that fails: thousands of lines in a minute.
    """
    loggers = [logging.getLogger(), logging.getLogger("mlflow"), logging.getLogger("alembic")]
    handlers = [handler for logger in loggers for handler in logger.handlers]
    for handler in [*handlers, *([logging.lastResort] if logging.lastResort else [])]:
        handler.addFilter(is_not_of_a_sender)  # once, however often


def is_not_of_a_sender(record: logging.LogRecord) -> bool:
    """Whether a message was logged elsewhere than in a thread that sends events."""
    return not (record.threadName or "").startswith(SENDERS)
