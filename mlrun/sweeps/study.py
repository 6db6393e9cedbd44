"""The study of a sweep: an Optuna study in a database, with one queued trial for each to be run.

All trials are queued when the study is made, and a worker takes up queued ones only: so exactly as
many are finished as were asked for, however many workers there are and whichever of them die.
"""

from __future__ import annotations

import os
import platform
import random
import time
from contextlib import suppress
from typing import Any

import optuna
import psutil
from filelock import FileLock
from optuna import Study
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback, fail_stale_trials
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import URL, create_engine, inspect, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from mlrun.errors import MlrunError, one_line, redact, unknown
from mlrun.record import store
from mlrun.record.drivers import needed
from mlrun.record.folders import state_folder
from mlrun.sweeps.optional import unwarned
from mlrun.sweeps.request import TRIALS, Request
from mlrun.sweeps.samplers import ByNumber, pruner_of

FILE = "mlrun-sweeps.db"
HEARTBEAT = 5  # seconds between two signs of life of a trial
GRACE = 30  # seconds without one, after which its worker is taken for dead
RETRIES = 3  # times that a trial whose worker died is taken up again
PATIENCE = 20.0  # seconds that a database which refuses is tried
PLACE, RUN, PROCESS, REASON = "place", "run_id", "process", "reason"  # attributes of a trial
REQUEST, PARENT = "mlrun.request", "mlrun.parent"  # attributes of a study
DONE = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


def default_storage() -> str:
    """Returns the address of the studies: beside a local store, else in the folder of the state."""
    file = store.file_of(store.address())
    folder = state_folder() if file is None else file.absolute().parent
    folder.mkdir(parents=True, exist_ok=True)
    return URL.create("sqlite", database=str(folder / FILE)).render_as_string(hide_password=False)


def lock_of(url: str) -> FileLock:
    """Returns the lock that is held on this machine while a database of studies is changed."""
    return FileLock(store.lock_path(f"sweeps {url}"))


def open_storage(url: str) -> RDBStorage:
    """Returns Optuna's storage at an address, with its tables made.

    Several processes, on several machines, may do so at once on an empty database.

    Raises:
        MlrunError: it is no address of a database, MLflow's own, or cannot be used.
    """
    shown = f"storage {redact(url)}"
    try:
        sqlite = make_url(url).get_backend_name() == "sqlite"
    except ArgumentError:
        raise MlrunError(
            f"{shown}: expected sqlite:///FILE or postgresql://HOST/DATABASE"
        ) from None
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with lock_of(url):
                check_not_mlflow(url)
                return made(url, sqlite=sqlite)
        except ModuleNotFoundError as error:
            raise MlrunError(f"{shown}: {needed(str(error.name), 'it')}") from None
        except (SQLAlchemyError, RuntimeError, ImportError) as error:
            if time.monotonic() > deadline:
                raise MlrunError(f"{shown}: {one_line(error)}") from None
            time.sleep(random.uniform(0.1, 0.5))  # others make its tables just now


def made(url: str, *, sqlite: bool) -> RDBStorage:
    """Returns the storage; raises what SQLAlchemy and Optuna do."""
    waiting: dict[str, Any] = (
        {"connect_args": {"timeout": 60}} if sqlite else {"pool_pre_ping": True}
    )
    with unwarned():
        return RDBStorage(
            url,
            engine_kwargs=waiting,
            heartbeat_interval=HEARTBEAT,
            grace_period=GRACE,
            heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(RETRIES),
        )


def check_not_mlflow(url: str) -> None:
    """Raises MlrunError where a database is an MLflow store: both keep a table alembic_version."""
    file, own = store.file_of(url), store.file_of(store.address())
    if file is not None and not file.exists():
        is_mlflow = own is not None and own.absolute() == file.absolute()
    else:
        engine = create_engine(url)
        try:
            is_mlflow = "experiments" in inspect(engine).get_table_names()
        finally:
            engine.dispose()
    if is_mlflow:
        raise MlrunError(
            f"storage {redact(url)}: MLflow keeps its runs there, and studies cannot lie in one "
            "schema with them; give another file or database"
        )


def create(storage: RDBStorage, name: str, request: Request) -> Study:
    """Returns the study of that name, made if need be; to be called under `lock_of`.

    Raises:
        MlrunError: there is one that was asked for something else.
    """
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        direction="maximize" if request.maximised else "minimize",
        load_if_exists=True,
    )
    if REQUEST not in study.user_attrs:
        study.set_user_attr(REQUEST, request.to_json())
    before = Request.from_json(study.user_attrs[REQUEST])
    if before.study_name("") != request.study_name(""):
        raise MlrunError(
            f"study {name} has another search, or other settings; give another name: --study"
        )
    return study


def queue(study: Study, request: Request, trials: int | None) -> int:
    """Queues as many trials as there are to be in all, and returns how many there are.

    To be called under `lock_of`.

    Args:
        study: of the sweep.
        request: what it is asked for.
        trials: in all; None for as many as there are, or of a grid its points.
    """
    have = max(places(study), default=0)
    points = list(request.space.grid()) if request.sampler == "grid" else None
    wanted = trials or (have or TRIALS if points is None else len(points))
    for place in range(have, wanted if points is None else min(wanted, len(points))):
        study.enqueue_trial({} if points is None else dict(points[place]), {PLACE: place + 1})
        have = place + 1
    return have


def load(storage: RDBStorage, name: str) -> tuple[Study, Request]:
    """Returns the study of that name, with its sampler and pruner, and what it is asked for.

    Raises:
        MlrunError: there is none, or it is no sweep's.
    """
    try:
        study = optuna.load_study(study_name=name, storage=storage)
    except KeyError:
        names = optuna.get_all_study_names(storage)
        raise unknown("study", name, names) from None
    if REQUEST not in study.user_attrs:
        raise MlrunError(f"study {name} was not made by mlrun sweep")
    request = Request.from_json(study.user_attrs[REQUEST])
    study.sampler = ByNumber(request.sampler, request.seed)
    study.pruner = pruner_of(request)
    return study, request


def here() -> str:
    """Returns the name of this process, by which it is told later whether it still lasts."""
    return f"{platform.node()} {os.getpid()} {psutil.Process().create_time():.2f}"


def is_over(process: str) -> bool:
    """Whether a process, by its name, is of this machine and gone."""
    host, number, began = process.rsplit(" ", 2)
    if host != platform.node():
        return False
    with suppress(psutil.NoSuchProcess):
        found = psutil.Process(int(number))
        return f"{found.create_time():.2f}" != began or found.status() == psutil.STATUS_ZOMBIE
    return True


def reap(study: Study, url: str) -> None:
    """Queues the trials again whose workers are gone: at once those of this machine."""
    with lock_of(url):
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            process = trial.user_attrs.get(PROCESS)
            if process is None or not is_over(process):
                continue
            with suppress(ValueError, optuna.exceptions.UpdateFinishedTrialError):  # another did
                study.tell(trial.number, state=TrialState.FAIL)
                with unwarned():
                    RetryHeartbeatStaleTrialCallback(RETRIES)(study, trial)
        with unwarned():
            fail_stale_trials(study)


def queue_again(study: Study, trial: FrozenTrial) -> None:
    """Queues a trial again that was interrupted, with the values that it had."""
    study.add_trial(
        create_trial(
            state=TrialState.WAITING,
            params=trial.params,
            distributions=trial.distributions,
            user_attrs=trial.user_attrs,
            system_attrs=trial.system_attrs,
        )
    )


def places(study: Study) -> dict[int, FrozenTrial]:
    """Returns the last trial at each place, by that: one that was taken up again counts once."""
    found = {}
    for trial in study.get_trials(deepcopy=False):
        if PLACE in trial.user_attrs:
            found[trial.user_attrs[PLACE]] = trial
    return dict(sorted(found.items()))
