"""The tracking store in use, opened to be read, and MLflow's runs looked up there by id."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException

from mlrun.errors import MlrunError, redact
from mlrun.record import store
from mlrun.record.noise import silent
from mlrun.record.waiting import alone, check_free, patiently, refusal


def open_store() -> MlflowClient:
    """Returns a client of the tracking store in use; creates no store.

    Raises:
        MlrunError: the store does not answer, or is a file that is not there.
    """
    uri: str = store.address()
    store.without_bars()
    if store.first_use(uri):
        raise MlrunError(
            f"tracking store {redact(uri)}: there is none yet; go to the folder that the runs "
            "were started in, or set MLFLOW_TRACKING_URI"
        )
    store.check(uri)
    return patiently(lambda: opened(uri))


def opened(uri: str) -> MlflowClient:
    """Returns a client of the store at `uri`, which answers; raises `Busy` too."""
    with answering(), alone(uri):
        check_free(uri, writing=False)
        with store.artifacts_beside(uri):
            client = MlflowClient(uri)
        client.search_experiments(max_results=1)  # it may have to bring its tables up to date
    return client


@contextmanager
def answering() -> Iterator[None]:
    """Turns any error of the store into an MlrunError that names the store."""
    try:
        with silent():
            yield
    except MlrunError:
        raise
    except Exception as error:  # MLflow's own, SQLAlchemy's, a missing driver, a full disk
        raise refusal(store.address(), error) from None


def look_up(client: MlflowClient, reference: str) -> Any:
    """Returns MLflow's run of that id, or the only one whose id starts with it."""
    prefix = reference.strip().lower()
    address = redact(store.address())
    with answering():
        if re.fullmatch(r"[0-9a-f]{4,31}", prefix):
            runs = runs_like(client, prefix, ViewType.ACTIVE_ONLY)
            runs = runs or runs_like(client, prefix, ViewType.ALL)
            if len(runs) == 1:
                return runs[0]
            if runs:
                ids = ", ".join(run.info.run_id for run in runs[:3])
                more = ", …" if len(runs) > 3 else ""
                raise MlrunError(f"several runs start with {prefix}: {ids}{more}; give more of it")
        elif prefix:
            try:
                return client.get_run(reference.strip())
            except MlflowException as error:
                if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    raise
    raise MlrunError(f"no run {reference} in {address}; mlrun runs lists those there are")


def runs_like(client: MlflowClient, prefix: str, view: int) -> Any:
    """Returns up to four of MLflow's runs whose ids start with `prefix`; `view`: active, or all."""
    return client.search_runs(
        [e.experiment_id for e in client.search_experiments(view_type=view)],
        filter_string=f"attributes.run_id LIKE '{prefix}%'",
        run_view_type=view,
        max_results=4,
    )
