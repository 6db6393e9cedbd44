"""Where a run goes: the experiment it belongs to, and the active run that it is a child of."""

from __future__ import annotations

import os
import shlex
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException
from mlflow.tracking.fluent import _get_experiment_id

from mlrun.errors import MlrunError

ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # MLflow's codes
PARENT_TAG = "mlflow.parentRunId"
ANOTHER = "or give another with --experiment"
LIST = "mlflow experiments search lists those there are"


def experiment_of(client: MlflowClient, name: str | None, parent: Any | None = None) -> Experiment:
    """Returns the experiment that a run goes to.

    Args:
        client: of the store.
        name: of the experiment, made if need be; None takes the parent's, or MLflow's own.
        parent: the active run, if there is one.

    Raises:
        MlrunError: it was deleted, or the one that the environment names is not there.
    """
    if name is not None:
        experiment = client.get_experiment_by_name(name)
        if experiment is None:
            experiment = client.get_experiment(client.create_experiment(name))
    else:
        own = parent.info.experiment_id if parent is not None else own_id()
        try:
            experiment = client.get_experiment(own)
        except MlflowException as error:
            if error.error_code not in ABSENT:
                raise
            raise MlrunError(f"no experiment has the ID {own}; {LIST}, {ANOTHER}") from None
    check_experiment(experiment)
    return experiment


def own_id() -> str:
    """Returns the id of MLflow's own experiment: of its environment variables, else its default."""
    given = {name: os.environ.get(f"MLFLOW_EXPERIMENT_{name}") for name in ("ID", "NAME")}
    try:
        experiment_id: str = _get_experiment_id()
    except MlflowException as error:
        if error.error_code not in ABSENT or given["ID"] is None:
            raise
        if given["NAME"] is not None:
            raise MlrunError(
                f"MLFLOW_EXPERIMENT_ID={given['ID']} is not the ID of "
                f"MLFLOW_EXPERIMENT_NAME={given['NAME']}; unset one of them"
            ) from None
        raise MlrunError(
            f"MLFLOW_EXPERIMENT_ID={given['ID']}: no experiment has this ID; {LIST}"
        ) from None
    return experiment_id


def check_experiment(experiment: Experiment) -> None:
    """Raises MlrunError if the experiment was deleted."""
    if experiment.lifecycle_stage != "active":
        raise MlrunError(
            f"experiment {experiment.name} (ID {experiment.experiment_id}) was deleted; restore it "
            f"with: {restoring(experiment)}, {ANOTHER}"
        )


def restoring(experiment: Experiment) -> str:
    """Returns the command that restores an experiment and its runs."""
    return f"mlflow experiments restore --experiment-id {shlex.quote(experiment.experiment_id)}"


def check_run(client: MlflowClient, run: Any) -> None:
    """Raises MlrunError if the run was deleted, alone or with its experiment."""
    if run.info.lifecycle_stage == "active":
        return
    experiment = client.get_experiment(run.info.experiment_id)
    if experiment.lifecycle_stage != "active":
        raise MlrunError(
            f"run {run.info.run_id} was deleted with its experiment {experiment.name}; restore "
            f"them with: {restoring(experiment)}"
        )
    raise MlrunError(
        f"run {run.info.run_id} was deleted; restore it with: mlflow runs restore --run-id "
        f"{run.info.run_id}"
    )


def active_run(client: MlflowClient) -> Any | None:
    """Returns the run that the caller opened with `mlflow.start_run`, if there is one.

    Raises:
        MlrunError: it was deleted, or lies in another store.
    """
    active = mlflow.active_run()
    if active is None:
        return None
    run_id = active.info.run_id
    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code not in ABSENT:
            raise
        raise MlrunError(
            f"the active run {run_id} is not in the store in use, so no run can be its child; end "
            "it, or set the tracking URI before mlflow.start_run"
        ) from None
    check_run(client, run)
    return run
