"""What a sweep came to: its best trial, the table of all, and what the parent run keeps of them."""

from __future__ import annotations

import csv
import io
import json
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from mlflow import MlflowClient
from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from mlrun.errors import MlrunError
from mlrun.record.directly import end_directly
from mlrun.record.events import end_tags
from mlrun.record.families import children_of
from mlrun.record.lookup import answering, open_store
from mlrun.record.presence import look_after
from mlrun.record.tracking import Tracker
from mlrun.settings.option_values import brief
from mlrun.sweeps.request import Request
from mlrun.sweeps.study import DONE, PLACE, REASON, RUN, places

BEST_TAG = "mlrun.best_run"  # of a parent: the id of its best child
RECIPE, TABLE, IMPORTANCES = "best.yaml", "trials.csv", "importances.json"  # artifacts
WORDS = {"COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "failed"}
DEAD = "its worker died, and its trial was given up"


@dataclass(frozen=True)
class Outcome:
    """What a sweep came to so far.

    study: its name. parent: its run in MLflow. trials: the last at each place, from 1.
    best: the best of those that are finished; None without any.
    """

    study: str
    parent: str
    request: Request
    trials: Mapping[int, FrozenTrial]
    best: FrozenTrial | None

    @property
    def left(self) -> int:
        """How many trials are not finished."""
        return sum(trial.state not in DONE for trial in self.trials.values())

    @property
    def best_run(self) -> str:
        """The id of the best trial's run; empty without any."""
        return "" if self.best is None else self.best.user_attrs[RUN]

    @property
    def counts(self) -> dict[str, int]:
        """How many trials are finished, pruned, failed and left."""
        found = Counter(WORDS.get(trial.state.name, "left") for trial in self.trials.values())
        return {word: found[word] for word in (*WORDS.values(), "left")}

    @property
    def summary(self) -> str:
        """One line on how many trials ended how."""
        counts = (f"{count} {word}" for word, count in self.counts.items() if count)
        trials = f"{len(self.trials)} trial{'' if len(self.trials) == 1 else 's'}"
        return f"{trials}: {', '.join(counts)}"

    @property
    def best_line(self) -> str:
        """One line on the best trial."""
        if self.best is None:
            return "no trial is finished"
        drawn = " ".join(f"{name}={brief(value)}" for name, value in self.best.params.items())
        place, monitor = self.best.user_attrs[PLACE], self.request.monitor
        return f"best: trial {place}, {monitor} {self.best.value:.5g}  {drawn}  run {self.best_run}"

    def table(self) -> str:
        """Returns a line a trial, with its state, value, run and settings, as CSV."""
        names = [dimension.name for dimension in self.request.space.dimensions]
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        head = ("trial", "state", self.request.monitor, "epochs", "seconds", "run_id")
        writer.writerow([*head, *names, "reason"])
        for place, trial in self.trials.items():
            seconds = trial.duration.total_seconds() if trial.duration else ""
            state = WORDS.get(trial.state.name, "left")
            value = trial.value if trial.state == TrialState.COMPLETE else ""
            epochs = max(trial.intermediate_values, default="")
            run_id, reason = (trial.user_attrs.get(name, "") for name in (RUN, REASON))
            drawn = [trial.params.get(name, "") for name in names]
            writer.writerow([place, state, value, epochs, seconds, run_id, *drawn, reason])
        return file.getvalue()

    def importances(self, study: Study) -> dict[str, float]:
        """Returns each setting's share in how the values differ; none of few finished trials."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that it is still new, and of few trials
                evaluator = optuna.importance.PedAnovaImportanceEvaluator()
                return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))
        except (ValueError, RuntimeError, ImportError):
            return {}

    def recipe(self) -> str:
        """Returns the best trial's settings as a recipe; there must be one."""
        assert self.best is not None
        return self.request.plan(self.best.params).recipe()


def outcome_of(study: Study, request: Request, parent: str) -> Outcome:
    """Returns what a study came to so far."""
    trials = places(study)
    finished = [trial for trial in trials.values() if trial.state == TrialState.COMPLETE]
    sign = -1 if request.maximised else 1
    best = min(finished, key=lambda trial: sign * float(trial.value or 0.0), default=None)
    return Outcome(study.study_name, parent, request, trials, best)


def log(outcome: Outcome, study: Study, tracker: Tracker) -> None:
    """Logs to the parent the table, the best trial's settings and figures, and importances."""
    tracker.artifact(TABLE, outcome.table())
    done = len(outcome.trials) - outcome.left  # a run keeps one value a step
    tracker.metrics({f"trials/{word}": count for word, count in outcome.counts.items()}, done)
    history = best_so_far(outcome)
    for place, value in history.items():
        tracker.metrics({f"best/{outcome.request.monitor.replace('/', '-')}": value}, place)
    importances = outcome.importances(study)
    if importances:
        tracker.artifact(IMPORTANCES, json.dumps(importances, indent=2))
    if outcome.best is None:
        return
    tracker.artifact(RECIPE, outcome.recipe())
    tracker.tags({BEST_TAG: outcome.best_run})
    with answering():
        figures = open_store().get_run(outcome.best_run).data.metrics
    tests = {name: value for name, value in figures.items() if name.startswith("test")}
    tracker.metrics({outcome.request.monitor: float(outcome.best.value or 0.0), **tests}, done)


def best_so_far(outcome: Outcome) -> dict[int, float]:
    """Returns the best value of the trials up to each place at which one is finished."""
    better = max if outcome.request.maximised else min
    found: dict[int, float] = {}
    for place, trial in outcome.trials.items():
        if trial.state == TrialState.COMPLETE:
            value = float(trial.value or 0.0)
            found[place] = better([value, *list(found.values())[-1:]])
    return found


def end_dead_children(parent: str) -> None:
    """Ends the runs under a parent as KILLED that have no end and whose processes are gone."""
    client: MlflowClient = open_store()
    with answering():
        children: list[Any] = children_of(client, client.get_run(parent))
        for child in children:
            _, presence = look_after(client, child)
            if presence is not None and presence.is_gone:
                end_directly(client, child.info.run_id, "KILLED", end_tags("KILLED", DEAD))


def check_registered(request: Request, name: str | None) -> None:
    """Raises MlrunError where the best run could not be registered under that name."""
    if name is None:
        return
    from mlrun.finished.register import check_names

    check_names(name, "champion")
    if not request.corner.settings.log_model:
        raise MlrunError("--register needs a servable model of each trial: --log-model true")
