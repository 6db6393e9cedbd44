"""Optuna, which sweeps need and nothing else: whether it is there, and without its chatter."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from mlrun.errors import MlrunError


def check_optuna() -> None:
    """Raises MlrunError unless Optuna is installed; has it print nothing."""
    try:
        import optuna
    except ModuleNotFoundError:
        raise MlrunError(
            "sweeps need optuna, which is not installed; pip install 'mlrun-vision[sweep]'"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)


@contextmanager
def unwarned() -> Iterator[None]:
    """Has Optuna not warn that what is used of it may change."""
    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield
