"""Labels of runs by the params that differ, and groups of runs that differ in the seed alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mlrun.pages.account import Account
from mlrun.record.overview import differing
from mlrun.settings.run import traits_of

SEED = "seed"
LONGEST = 24  # characters of a value in a label

Points = Sequence[tuple[int, float]]


@dataclass(frozen=True)
class Group:
    """Runs whose params are the same but for the seed and those that decide nothing; mostly one.

    label: the params in which the group differs from the others.
    runs: their places among the runs that are compared.
    """

    label: str
    runs: tuple[int, ...]


@dataclass(frozen=True)
class Average:
    """Mean and spread of a metric over a group at an epoch; the deviation is that of a sample."""

    epoch: int
    mean: float
    deviation: float
    low: float
    high: float


def grouped(accounts: Sequence[Account]) -> list[Group]:
    """Returns the groups in the order of their first runs.

    A run of which no params are known is a group of its own.
    """
    runs_by_params: dict[object, list[int]] = {}
    for place, account in enumerate(accounts):
        params = account.params.items()
        same = frozenset((k, v) for k, v in params if k != SEED and decides(k))
        runs_by_params.setdefault(same or place, []).append(place)
    places = list(runs_by_params.values())
    with_seed = all(len(runs) == 1 for runs in places)
    names = labels([accounts[runs[0]] for runs in places], with_seed=with_seed)
    return [Group(label, tuple(runs)) for label, runs in zip(names, places, strict=True)]


def decides(name: str) -> bool:
    """Whether a param has an effect on the result of the training.

    >>> decides("lr"), decides("model.dropout"), decides("weights.cmap"), decides("visualisers")
    (True, True, False, False)
    """
    prefix, dot, _ = name.partition(".")
    traits = traits_of(prefix)
    return traits.decides and (traits.kind is not None or not dot)


def labels(accounts: Sequence[Account], *, with_seed: bool = True) -> list[str]:
    """Returns a short text for each run, all of them different.

    It is the names that the user gave, or else the params in which the runs differ, as few as
    it takes, and where those are equal the beginning of the run's id.
    """
    names = [account.name for account in accounts]
    if len(accounts) == 1:
        return names
    all_named = all(account.params.get("run_name", "none") != "none" for account in accounts)
    if all_named and len(set(names)) == len(names):
        return names
    differs = [name for name in differing(accounts) if decides(name)]
    differs = [name for name in differs if with_seed or name != SEED]
    differs.sort(key=lambda name: traits_of(name).in_name != "first")
    params: list[str] = []
    texts = [""] * len(accounts)
    for name in differs:
        longer = [in_words(account.params, [*params, name]) for account in accounts]
        if len(set(longer)) > len(set(texts)):
            params, texts = [*params, name], longer
    return [
        text
        if texts.count(text) == 1 and text
        else f"{text or account.name} ({account.run_id[:8]})"
        for text, account in zip(texts, accounts, strict=True)
    ]


def in_words(params: Mapping[str, str], names: Sequence[str]) -> str:
    """Returns the params of these names as a label.

    >>> in_words({"model": "lenet", "lr": "0.01"}, ["model", "lr", "model.widths"])
    'lenet, lr 0.01'
    """
    return ", ".join(
        cut(params[name]) if traits_of(name).kind else f"{name} {cut(params[name])}"
        for name in names
        if name in params
    )


def cut(value: str) -> str:
    """Returns a value as a label has room for it."""
    return value if len(value) <= LONGEST else f"{value[: LONGEST - 1]}…"


def run_labels(accounts: Sequence[Account], groups: Sequence[Group]) -> list[str]:
    """Returns a label for each run: that of its group, and its seed where there are several."""
    texts = [""] * len(accounts)
    for group in groups:
        seeds = [accounts[place].params.get("seed", "") for place in group.runs]
        for place, seed in zip(group.runs, seeds, strict=True):
            again = f" ({accounts[place].run_id[:8]})" if seeds.count(seed) > 1 else ""
            alone = len(group.runs) == 1
            before = "" if len(groups) == 1 else f"{group.label}, "
            texts[place] = group.label if alone else f"{before}seed {seed}{again}"
    return texts


def averaged(curves: Sequence[Points]) -> list[Average]:
    """Returns mean and spread of several curves at each epoch that all of them have.

    Args:
        curves: (epoch, value) pairs; a curve without any is left out.
    """
    by_epoch = [dict(curve) for curve in curves if curve]
    if not by_epoch:
        return []
    common = set.intersection(*(set(curve) for curve in by_epoch))
    return [averaged_at(epoch, [curve[epoch] for curve in by_epoch]) for epoch in sorted(common)]


def averaged_at(epoch: int, values: Sequence[float]) -> Average:
    """Returns mean and spread of one or more values; the deviation of a single one is 0."""
    sample = np.asarray(values, dtype=np.float64)
    with np.errstate(invalid="ignore"):  # of a loss that is not finite
        deviation = float(sample.std(ddof=1)) if len(sample) > 1 else 0.0
        return Average(
            epoch, float(sample.mean()), deviation, float(sample.min()), float(sample.max())
        )
