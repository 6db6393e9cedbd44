"""Mean and spread of figures, against NumPy and SciPy."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from scipy import stats

from mlrun.running.run import Run
from mlrun.sweeps.spread import (
    lines,
    metrics_of,
    runs_csv,
    spread_of,
    spreads_of,
    summary_json,
)

VALUES = [0.91, 0.935, 0.87, 0.9]


def run(**of_best: float) -> Run:
    return Run("0" * 32, "0", "mine", 3, "", {}, {}, "", "", of_best=of_best)


def test_mean_deviation_and_interval_are_those_of_numpy_and_scipy() -> None:
    spread = spread_of(VALUES)
    assert spread.mean == pytest.approx(np.mean(VALUES), abs=1e-15)
    assert spread.std == pytest.approx(np.std(VALUES, ddof=1), abs=1e-15)
    expected = stats.t.interval(0.95, 3, np.mean(VALUES), stats.sem(VALUES))
    assert spread.interval == pytest.approx(expected, abs=1e-12)


def test_a_single_value_has_no_spread() -> None:
    spreads = {"test/loss": spread_of([0.5])}
    assert metrics_of(spreads) == {"test/loss/mean": 0.5}
    assert lines("1 seed", spreads, independent=True)[1].split() == ["test/loss", "0.5000", "-"]
    assert json.loads(summary_json("1 seed", spreads, independent=True))["figures"][
        "test/loss"
    ] == {
        "mean": 0.5,
        "std": None,
        "interval_95": None,
        "values": [0.5],
    }


def test_the_figures_are_those_that_all_runs_have_the_test_part_s_first() -> None:
    first = run(**{"val/loss": 1.0, "test-noise/loss": 2.0, "test/loss": 3.0, "val/extra": 0.0})
    second = run(**{"val/loss": 2.0, "test-noise/loss": 2.0, "test/loss": 4.0})
    spreads = spreads_of([first, second])
    assert list(spreads) == ["test/loss", "test-noise/loss", "val/loss"]
    assert metrics_of(spreads)["test/loss/mean"] == 3.5
    assert metrics_of(spreads)["val/loss/std"] == pytest.approx(np.sqrt(0.5))


def test_the_table_of_the_runs_has_every_digit() -> None:
    runs = [run(**{"test/loss": 0.1 + 0.2}), run(**{"test/loss": 1 / 3})]
    table = runs_csv(["seed 0", "seed 1"], runs, spreads_of(runs))
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [row["run"] for row in rows] == ["seed 0", "seed 1"]
    assert [float(row["test/loss"]) for row in rows] == [0.1 + 0.2, 1 / 3]
    assert rows[0]["best_epoch"] == "3"


def test_of_runs_that_share_images_no_interval_is_told() -> None:
    spreads = {"val/loss": spread_of(VALUES)}
    assert "interval" not in "".join(lines("4 folds", spreads, independent=False))
    assert "interval" not in summary_json("4 folds", spreads, independent=False)
