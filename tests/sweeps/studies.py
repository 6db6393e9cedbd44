"""A study with a parent run in this process, without workers of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
from mlflow import MlflowClient
from mlflow.entities import Run as MlflowRun
from optuna import Study

from mlrun.sweeps import study as studies
from mlrun.sweeps.request import Request, request_of
from mlrun.sweeps.study import PARENT

SMALL: dict[str, object] = {
    "model": "logistic",
    "epochs": 1,
    "subset": 200,
    "visualisers": "none",
    "log_model": "false",
}


def begun(search: dict[str, object], trials: int, **given: Any) -> tuple[str, Request]:
    """The address of a database, with a study `s` whose parent is a plain run of MLflow."""
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    options = {name: given.pop(name) for name in ("pruner", "sampler") if name in given}
    settings = {n: v for n, v in {**SMALL, **given}.items() if n not in search}
    request = request_of(settings, search, **options)
    url = f"sqlite:///{Path('studies.db').absolute()}"
    study = studies.create(studies.open_storage(url), "s", request)
    studies.queue(study, request, trials)
    study.set_user_attr(PARENT, MlflowClient().create_run("0").info.run_id)
    return url, request


def study_at(url: str) -> Study:
    return studies.load(studies.open_storage(url), "s")[0]


def children() -> list[MlflowRun]:
    found = MlflowClient().search_runs(["0"], "tags.mlrun.trial != ''")
    return sorted(found, key=lambda run: int(run.data.tags["mlrun.trial"]))
