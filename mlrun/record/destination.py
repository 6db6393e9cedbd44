"""Where a run goes in its store: looked up before it is opened, beside other work where it can."""

from __future__ import annotations

import os
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Thread
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Experiment

from mlrun.machine.helpers import start_threads
from mlrun.machine.interrupts import interruptible
from mlrun.record import store
from mlrun.record.experiments import check_run, known_experiment, present
from mlrun.record.noise import SEARCH, quiet_threads


@dataclass(frozen=True)
class Place:
    """Where a run goes.

    client: of the store.
    waiting: the run that `mlflow run` opened and that is to be taken over; None of a new run.
    parent: the run of which a new one is a child, if any: the one asked for, or the one that the
        caller has open in MLflow.
    experiment: the experiment; None of one that must be made.
    """

    client: MlflowClient
    waiting: Any | None
    parent: Any | None
    experiment: Experiment | None


class Search:
    """The search for the place of a run, which changes nothing in the store.

    Args:
        uri: of the store.
        experiment: name of the experiment; None for that of the caller's open run, or MLflow's.
        parent: the id of the run of which the new one is a child, in whose experiment it is,
            whatever else is waiting or open; None for the run that the caller has open, if any.

    Attributes:
        experiment: as given.
    """

    def __init__(self, uri: str, experiment: str | None, parent: str | None = None) -> None:
        self._uri, self.experiment = uri, experiment
        self._waiting = None if parent else os.environ.get("MLFLOW_RUN_ID")
        active = mlflow.active_run()  # of this thread
        self._parent = parent or (active.info.run_id if active else None)
        self._named = None if parent else experiment
        self._answer: Future[Place] | None = None

    def start(self) -> None:
        """Asks a server at once, in a thread: no file is made, and the answers take their time."""
        if self._uri.startswith(("http://", "https://")):
            quiet_threads()
            answer: Future[Place] = Future()
            thread = Thread(target=self._run, args=[answer], name=SEARCH, daemon=True)
            self._answer = answer if start_threads([thread]) else None

    def place(self) -> Place:
        """Returns the place; asks anew the next time. Raises what the store does, or MlrunError."""
        answer, self._answer = self._answer, None
        if answer is None:
            return self._look()
        with interruptible():
            return answer.result()

    def _run(self, answer: Future[Place]) -> None:
        try:
            answer.set_result(self._look())
        except BaseException as error:
            answer.set_exception(error)

    def _look(self) -> Place:
        with store.artifacts_beside(self._uri):
            client = MlflowClient(self._uri)
        if self._waiting:
            run = client.get_run(self._waiting)
            check_run(client, run)
            return Place(client, run, None, client.get_experiment(run.info.experiment_id))
        parent = present(client, self._parent)
        return Place(client, None, parent, known_experiment(client, self._named, parent))
