"""A run's servable model in MLflow's model registry, under a name."""

from __future__ import annotations

import re
from typing import NamedTuple

from mlflow.entities import LoggedModelStatus
from mlflow.exceptions import MlflowException

from mlrun.errors import MlrunError, one_line
from mlrun.record.logged import LoggedRun, find_run
from mlrun.record.lookup import answering

LATEST = re.compile(r"latest|v\d+", re.IGNORECASE)  # what MLflow keeps for itself


class Registered(NamedTuple):
    """A version of a registered model.

    run_id: whose model it is.
    name, version: as MLflow addresses it: `models:/NAME/VERSION`.
    alias: by which it is addressed too, `models:/NAME@ALIAS`; empty for none.
    is_new: whether it was made now; a run's model is registered once under a name.
    """

    run_id: str
    name: str
    version: str
    alias: str
    is_new: bool

    @property
    def address(self) -> str:
        """The address that MLflow serves it under."""
        end = f"@{self.alias}" if self.alias else f"/{self.version}"
        return f"models:/{self.name}{end}"


def register(reference: str, name: str, alias: str = "") -> Registered:
    """Registers a run's servable model as a new version of the model `name`.

    A model that the run has there already is not registered again; an alias moves to it.

    Args:
        reference: the run's id, or a unique start of it.
        name: of the registered model, made where there is none.
        alias: a name for this version, `champion` say; empty for none.

    Raises:
        MlrunError: the run is not finished or has no servable model, or MLflow does not take one
            of the names.
    """
    check_names(name, alias)
    run = find_run(reference)
    model_id, source = servable_of(run)
    with answering():
        version = version_of(run, name, source)
        is_new = version is None
        if version is None:
            version = new_version(run, name, model_id, source)
        if alias:
            run.client.set_registered_model_alias(name, alias, version)
    return Registered(run.run_id, name, version, alias, is_new)


def check_names(name: str, alias: str) -> None:
    """Raises MlrunError for what no name or alias can be; MLflow's own refusals are traces."""
    if not name.strip() or re.search(r"[/:@\x00-\x1f]", name):
        raise MlrunError(f"name {name!r}: expected a name without / : @, such as digits-cnn")
    if alias and (not re.fullmatch(r"[\w-]+", alias, re.ASCII) or LATEST.fullmatch(alias)):
        raise MlrunError(
            f"alias {alias!r}: expected letters, digits, - and _, and neither latest nor a v "
            "before a number, which are MLflow's"
        )


def servable_of(run: LoggedRun) -> tuple[str, str]:
    """Returns the id of a run's servable model in MLflow, and where its files are."""
    if run.status != "FINISHED":
        raise MlrunError(
            f"run {run.run_id} is {run.status}, not FINISHED; its best weights may not be final"
        )
    with answering():
        models = run.client.search_logged_models(
            [run.experiment_id], f"source_run_id = '{run.run_id}' AND name = 'model'"
        )
    ready = [model for model in models if model.status == LoggedModelStatus.READY]
    if not ready:
        raise MlrunError(
            f"run {run.run_id} has no servable model; train with --log-model true, or, where its "
            f"log failed, look at the run's tags: {run.link}"
        )
    return ready[0].model_id, ready[0].artifact_location


def version_of(run: LoggedRun, name: str, source: str) -> str | None:
    """Returns the newest version of a registered model that is the run's; None if none is."""
    versions = run.client.search_model_versions(f"run_id = '{run.run_id}'")
    same = [int(v.version) for v in versions if (v.name, v.source) == (name, source)]
    return str(max(same)) if same else None


def new_version(run: LoggedRun, name: str, model_id: str, source: str) -> str:
    """Registers a model, and returns its version."""
    try:
        run.client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise MlrunError(f"MLflow refuses the name {name!r} ({one_line(error)})") from None
    made = run.client.create_model_version(
        name, source, run_id=run.run_id, model_id=model_id, await_creation_for=0
    )
    return str(made.version)
