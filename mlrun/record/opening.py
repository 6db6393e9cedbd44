"""Opens a run in the tracking store in use, or takes one over from `mlflow run`."""

from __future__ import annotations

import getpass
import logging
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from mlrun.errors import (
    MlrunError,
    RunFailed,
    encodable,
    legible,
    unknown,
)
from mlrun.machine.calls import GRACE, answered
from mlrun.record import appearance, store
from mlrun.record.destination import Place, Search
from mlrun.record.directly import end_directly
from mlrun.record.drivers import check_artifacts
from mlrun.record.events import end_tags
from mlrun.record.experiments import (
    PARENT_TAG,
    check_experiment,
    experiment_of,
)
from mlrun.record.folders import run_folder
from mlrun.record.journal import Journal
from mlrun.record.journal_files import Header
from mlrun.record.noise import silent
from mlrun.record.presence import process_tags
from mlrun.record.sending import view_in, view_of
from mlrun.record.store import public
from mlrun.record.tracking import Status, Tracker, why
from mlrun.record.waiting import alone, check_free, patiently, refusal

LOG = logging.getLogger("mlrun.store")
NAME_TAG = "mlflow.runName"


def check_store(experiment: str | None = None) -> Search:
    """Raises MlrunError unless the tracking store in use can be used, two minutes from now at most.

    One that does not answer at all is refused within 10 seconds.

    Returns the search for the place of a run there, in this experiment or in MLflow's own. A server
    is asked for it from now on, so that the run is opened the sooner.
    """
    store.without_bars()
    store.let_us_wait()
    uri = store.address()
    search = Search(uri, experiment)
    search.start()
    store.check(uri)
    patiently(lambda: check_free(uri))
    return search


def open_run(
    run_name: str,
    experiment: str | None,
    tags: Mapping[str, str],
    search: Search | None = None,
    *,
    parent: str | None = None,
) -> Tracker:
    """Opens a run, or takes over the one that `mlflow run` opened (`MLFLOW_RUN_ID`).

    Args:
        run_name: the run's name; a taken-over run keeps a name that somebody gave it.
        experiment: name of the experiment, made if need be; None takes that of the run that
            the caller has open in MLflow, of which this one is a child, else MLflow's own. A run
            that is taken over stays in its experiment.
        tags: set on the run, with those that say which process it is.
        search: for its place, from `check_store`; by default it begins here.
        parent: the id of the run of which it is a child, in that one's experiment; None for the
            run that the caller has open, if any.

    Raises:
        MlrunError: the store cannot be opened within two minutes, the run to take over does not
            exist, or it or the experiment was deleted.
    """
    uri, tags = store.address(), {**tags, **process_tags()}
    store.let_us_wait()
    search, run_name = search or Search(uri, experiment, parent), legible(run_name)
    place, run = patiently(lambda: opened(uri, run_name, tags, search), late=end_unasked)
    if place.waiting is None:
        tracker = tracker_of(place, uri, run, run_name)
    else:
        del os.environ["MLFLOW_RUN_ID"]  # as MLflow does: a later run is not this one
        name = run.info.run_name
        tracker = tracker_of(place, uri, run, run_name if is_generated(name) else name)
        tracker.tags({k: v for k, v in tags.items() if k not in tracker.earlier_tags})
        tracker.tags({NAME_TAG: tracker.run_name})  # which renames it
    tracker.settle_in()
    return tracker


def opened(uri: str, run_name: str, tags: Mapping[str, str], search: Search) -> tuple[Place, Any]:
    """Returns the place of the run that `open_run` opens in the store at `uri`, and the run.

    Raises:
        Busy: the store cannot be used yet; no run was opened.
        MlrunError: as `open_run` says.
    """
    try:
        with silent(), alone(uri):
            check_free(uri)
            if store.first_use(uri):
                LOG.info("making the tracking database, which takes a few seconds once")
            place = search.place()
            if place.experiment is None:
                made = experiment_of(place.client, search.experiment, place.parent)
                place = replace(place, experiment=made)
            if place.waiting is not None:
                return place, place.waiting
            return place, new_run(place, run_name, {**tags, **launch_tags()})
    except MlrunError:
        raise
    except Exception as error:  # MLflow's own, SQLAlchemy's, a missing driver, a missing folder
        raise refusal(uri, error) from None


def end_unasked(found: tuple[Place, Any]) -> None:
    """Ends a new run that was opened when nobody waited for it any more."""
    place, run = found
    if place.waiting is None:
        tags = end_tags("KILLED", "interrupted as it was opened")
        end_directly(place.client, run.info.run_id, "KILLED", tags)


def new_run(place: Place, run_name: str, tags: Mapping[str, str]) -> Any:
    """Returns a new run at its place, a child of the run that is its parent, if there is one."""
    assert place.experiment is not None
    check_artifacts(place.experiment.artifact_location)
    child = {} if place.parent is None else {PARENT_TAG: place.parent.info.run_id}
    texts = {encodable(name): encodable(text) for name, text in {**tags, **child}.items()}
    return place.client.create_run(place.experiment.experiment_id, run_name=run_name, tags=texts)


def tracker_of(place: Place, uri: str, run: Any, run_name: str) -> Tracker:
    """Returns the tracker of a run that was opened, with a journal of its own.

    Raises:
        RunFailed: the journal cannot be written, or events cannot be sent; the run was ended.
    """
    client, run_id = place.client, run.info.run_id
    header = Header(run_id, run.info.experiment_id, run_name, public(uri), run.info.start_time)
    has_view = place.experiment is not None and view_in(place.experiment) is not None
    try:
        tracker = Tracker(client, uri, run, Journal(run_folder(run_id), header), has_view=has_view)
        tracker.check()
    except Exception as error:
        reason = why(error, run_folder(run_id)) if isinstance(error, OSError) else str(error)
        end_directly(client, run_id, "FAILED", end_tags("FAILED", reason))
        raise RunFailed(f"run {run_id} failed: {reason}", run_id) from error
    return tracker


def locate(experiment: str | None) -> tuple[str, str, str]:
    """Returns the store in use, the id of an experiment there, and the key of our view of it.

    The key is empty where no run of the experiment has pictures yet.

    Raises:
        MlrunError: the store does not answer, or has no experiment of that name, or no more.
    """
    uri: str = store.address()
    store.check(uri)
    return patiently(lambda: located(uri, experiment))


def located(uri: str, experiment: str | None) -> tuple[str, str, str]:
    """Returns what `locate` does of the store at `uri`, which answers; raises `Busy` too."""
    try:
        with silent(), alone(uri):
            check_free(uri, writing=False)
            with store.artifacts_beside(uri):
                client = MlflowClient(uri)
            match = client.get_experiment_by_name(experiment) if experiment else None
            if experiment and match is None:
                names = [e.name for e in client.search_experiments()]
                raise unknown("experiment", experiment, names)
            if match:
                check_experiment(match)
            experiment_id = (match or experiment_of(client, None)).experiment_id
            view = view_of(client, experiment_id)
    except MlrunError:
        raise
    except Exception as error:
        raise refusal(uri, error) from None
    return uri, experiment_id, appearance.VIEW_KEY if view else ""


def end_waiting_run(status: Status, reason: str) -> None:
    """Ends the run that `mlflow run` opened, with the reason as a tag, if the store answers."""
    run_id = os.environ.pop("MLFLOW_RUN_ID", None)
    if not run_id:
        return
    tags = end_tags(status, encodable(reason)[:5000])
    with suppress(Exception):
        store.check(store.address())
        client = answered(MlflowClient, limit=GRACE)
        end_directly(client, run_id, status, tags)


def launch_tags() -> dict[str, str]:
    """Returns the tags by which MLflow shows who started a run, and with what."""
    return {
        "mlflow.user": user(),
        "mlflow.source.name": Path(sys.argv[0] or "python").name,
        "mlflow.source.type": "LOCAL",
    }


def user() -> str:
    """Returns who we are: by name, or by number where nobody is named so, as in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def is_generated(name: str) -> bool:
    """Whether MLflow generated the run's name (`bold-cat-12`) because none was given."""
    from mlflow.utils import name_utils

    words = name.split("-")
    return (
        len(words) == 3
        and words[0] in {w.lower() for w in name_utils._GENERATOR_PREDICATES}
        and words[1] in {w.lower() for w in name_utils._GENERATOR_NOUNS}
        and words[2].isdigit()
    )
