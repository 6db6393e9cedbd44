"""How the values of a trial are drawn, and which trials are stopped early."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import optuna
from optuna import Study, Trial
from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from mlrun.sweeps.optional import unwarned
from mlrun.sweeps.request import Request
from mlrun.sweeps.space import Dimension
from mlrun.sweeps.specs import Choices


class ByNumber(BaseSampler):
    """A sampler whose draws depend on the trial's number, not on which worker makes them.

    Args:
        kind: `tpe`, or anything else for draws at random; of a grid the points are queued.
        seed: of all draws.
    """

    def __init__(self, kind: str, seed: int) -> None:
        self._kind, self._seed = kind, seed
        self._now = self._fresh(0)

    def _fresh(self, number: int) -> BaseSampler:
        seed = random.Random(f"{self._seed} {number}").randrange(2**32)
        if self._kind != "tpe":
            return RandomSampler(seed)
        with unwarned():
            return TPESampler(seed=seed, constant_liar=True)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Begins the draws of a trial."""
        self._now = self._fresh(trial.number)
        self._now.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Returns the dimensions that are drawn together."""
        space: dict[str, BaseDistribution] = self._now.infer_relative_search_space(study, trial)
        return space

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Returns the values of these."""
        drawn: dict[str, Any] = self._now.sample_relative(study, trial, search_space)
        return drawn

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Returns the value of one dimension."""
        return self._now.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Ends a trial."""
        self._now.after_trial(study, trial, state, values)


def pruner_of(request: Request) -> BasePruner:
    """Returns the pruner that a sweep asks for."""
    if request.pruner == "median":
        return MedianPruner(n_startup_trials=4, n_warmup_steps=1)
    if request.pruner == "hyperband":
        ends = [request.plan(point).settings.epochs for point in request.space.corners()]
        return HyperbandPruner(min_resource=1, max_resource=max(2, *ends))
    return NopPruner()


def suggested(trial: Trial, dimension: Dimension) -> object:
    """Returns the value of a dimension in a trial."""
    values, name = dimension.values, dimension.name
    if isinstance(values, Choices):
        return trial.suggest_categorical(name, values.texts)
    if isinstance(values.low, int) and isinstance(values.high, int):
        step = int(values.step or 1)
        return trial.suggest_int(name, values.low, values.high, step=step, log=values.log)
    return trial.suggest_float(name, values.low, values.high, step=values.step, log=values.log)


def first_draws(request: Request, count: int) -> list[Mapping[str, object]]:
    """Returns the values of the first trials, without a database."""
    if request.sampler == "grid":
        return [point for _, point in zip(range(count), request.space.grid(), strict=False)]
    study = optuna.create_study(sampler=ByNumber(request.sampler, request.seed))
    return [request.space.draw(partial(suggested, study.ask())) for _ in range(count)]
