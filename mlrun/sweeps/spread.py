"""Mean and spread of the figures of several runs, as numbers, lines and files."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mlrun.record.families import MEAN, SPREAD
from mlrun.running.run import Run

CONFIDENCE = 0.95  # of the interval
ORDER = ("test/", "test-", "val/")  # of the figures, by what their names begin with


@dataclass(frozen=True)
class Spread:
    """One figure of several runs.

    values: of each run, in their order.
    mean: their mean.
    std: their sample standard deviation (n - 1); None of a single run.
    """

    values: tuple[float, ...]
    mean: float
    std: float | None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the mean by Student's t, for independent runs; None of one run."""
        if self.std is None:
            return None
        from scipy.special import stdtrit

        n = len(self.values)
        half = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * self.std / math.sqrt(n)
        return self.mean - half, self.mean + half


def spread_of(values: Sequence[float]) -> Spread:
    """Returns mean and spread of at least one value.

    >>> spread_of([1.0, 2.0, 3.0])
    Spread(values=(1.0, 2.0, 3.0), mean=2.0, std=1.0)
    """
    array = np.asarray(values, np.float64)
    std = float(array.std(ddof=1)) if len(array) > 1 else None
    return Spread(tuple(map(float, values)), float(array.mean()), std)


def spreads_of(runs: Sequence[Run]) -> dict[str, Spread]:
    """Returns mean and spread of each figure of the best weights that all runs have.

    Those of the test part come first, then those of its variants and of the validation part.
    """
    names = [name for name in runs[0].of_best if all(name in run.of_best for run in runs)]
    names.sort(key=lambda name: [not name.startswith(part) for part in ORDER])
    return {name: spread_of([run.of_best[name] for run in runs]) for name in names}


def metrics_of(spreads: Mapping[str, Spread]) -> dict[str, float]:
    """Returns the metrics of a parent: `test/accuracy/mean`, `test/accuracy/std`, …"""
    means = {f"{name}{MEAN}": spread.mean for name, spread in spreads.items()}
    deviations = {f"{n}{SPREAD}": one.std for n, one in spreads.items() if one.std is not None}
    return {**means, **deviations}


def lines(what: str, spreads: Mapping[str, Spread], *, independent: bool) -> list[str]:
    """Returns a table of the figures, a line each.

    Args:
        what: the runs: `5 seeds`.
        spreads: of each figure.
        independent: whether the runs are independent of each other, so that an interval is true.
    """
    rows = [(what, "mean", "std", "95 % interval of the mean" if independent else "")]
    for name, spread in spreads.items():
        std = "-" if spread.std is None else f"{spread.std:.4f}"
        interval = spread.interval if independent else None
        rows.append(
            (
                name,
                f"{spread.mean:.4f}",
                std,
                "" if interval is None else f"{interval[0]:.4f} to {interval[1]:.4f}",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return [
        f"{name:{widths[0]}}  {mean:>{widths[1]}}  {std:>{widths[2]}}  {interval}".rstrip()
        for name, mean, std, interval in rows
    ]


def runs_csv(names: Sequence[str], runs: Sequence[Run], spreads: Mapping[str, Spread]) -> str:
    """Returns a table of the runs, CSV: name, id, best epoch, figures of the best weights."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", "run_id", "best_epoch", *spreads])
    for place, (name, run) in enumerate(zip(names, runs, strict=True)):
        figures = [repr(spread.values[place]) for spread in spreads.values()]
        writer.writerow([name, run.run_id, run.best_epoch, *figures])
    return text.getvalue()


def summary_json(what: str, spreads: Mapping[str, Spread], *, independent: bool) -> str:
    """Returns the figures as JSON: what runs, how many; mean, standard deviation and interval."""
    figures = {
        name: {
            "mean": number(spread.mean),
            "std": number(spread.std),
            **({"interval_95": numbers(spread.interval)} if independent else {}),
            "values": numbers(spread.values),
        }
        for name, spread in spreads.items()
    }
    count = max((len(spread.values) for spread in spreads.values()), default=0)
    return json.dumps({"runs": what, "n": count, "figures": figures}, indent=2) + "\n"


def numbers(values: Sequence[float] | None) -> list[float | None] | None:
    """Returns values as JSON has them."""
    return None if values is None else [number(value) for value in values]


def number(value: float | None) -> float | None:
    """Returns a value as JSON has it: None for one that it cannot hold."""
    return value if value is not None and math.isfinite(value) else None
