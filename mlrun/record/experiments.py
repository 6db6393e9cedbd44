"""Where a run goes: the experiment it belongs to, and the active run that it is a child of."""

from __future__ import annotations

import os
import shlex
from typing import Any

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
    """Returns the experiment that a run goes to, which is made if need be.

    Args:
        client: of the store.
        name: of the experiment; None takes the parent's, or MLflow's own.
        parent: the active run, if there is one.

    Raises:
        MlrunError: it was deleted, or the one that the environment names is not there.
    """
    experiment = known_experiment(client, name, parent)
    if experiment is None:
        made = own_id() if name is None else client.create_experiment(name)
        experiment = client.get_experiment(made)
        check_experiment(experiment)
    return experiment


def known_experiment(
    client: MlflowClient, name: str | None, parent: Any | None = None
) -> Experiment | None:
    """Returns what `experiment_of` does, None where it may have to be made; raises the same."""
    if name is not None:
        experiment = client.get_experiment_by_name(name)
    elif parent is None and os.environ.get("MLFLOW_EXPERIMENT_NAME") is not None:
        return None  # MLflow itself makes that one
    else:
        own = own_id() if parent is None else parent.info.experiment_id
        try:
            experiment = client.get_experiment(own)
        except MlflowException as error:
            if error.error_code not in ABSENT:
                raise
            raise MlrunError(f"no experiment has the ID {own}; {LIST}, {ANOTHER}") from None
    if experiment is not None:
        check_experiment(experiment)
    return experiment


def own_id() -> str:
    """Returns the id of MLflow's own experiment: of its environment variables, else its default."""
    variables = {name: os.environ.get(f"MLFLOW_EXPERIMENT_{name}") for name in ("ID", "NAME")}
    try:
        experiment_id: str = _get_experiment_id()
    except MlflowException as error:
        if error.error_code not in ABSENT or variables["ID"] is None:
            raise
        if variables["NAME"] is not None:
            raise MlrunError(
                f"MLFLOW_EXPERIMENT_ID={variables['ID']} is not the ID of "
                f"MLFLOW_EXPERIMENT_NAME={variables['NAME']}; unset one of them"
            ) from None
        raise MlrunError(
            f"MLFLOW_EXPERIMENT_ID={variables['ID']}: no experiment has this ID; {LIST}"
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


def present(client: MlflowClient, run_id: str | None) -> Any | None:
    """Returns the run that is to have a child, as the store has it: opened by the caller, mostly.

    Args:
        client: of the store.
        run_id: of the run, or None without one.

    Raises:
        MlrunError: it was deleted, or lies in another store.
    """
    if run_id is None:
        return None
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
