"""Learning curves by step: those that the run logs, at any length."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from drawn import figures
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from mlrun_visualisers.results.curves import binned
from runs import QUICK, artifacts
from views import convolutional, make_view

import mlrun
from mlrun import MlrunError
from mlrun.inside.drawing.rendering import pixels


def by_step(steps: dict[str, Any], by: str = "step") -> Figure:
    view = make_view(convolutional())
    view.steps = steps
    figure: Figure = figures("learning-curves", view, by=by)[""]
    return figure


def test_the_curves_by_step_are_those_of_batches_and_of_whole_parts() -> None:
    figures = ("loss", "accuracy")
    batch, train, val = ([(step, value) for step in (1, 2)] for value in (0.5, 0.6, 0.7))
    steps = {f"step/{name}": batch for name in figures}
    steps |= {f"step/train-{name}": train for name in figures}
    steps |= {f"step/val-{name}": [(0, 0.8), *val] for name in figures}
    figure = by_step({**steps, "step/lr": batch, "step/val-top5-accuracy": batch})
    for axes, name in zip(figure.axes, figures, strict=True):
        drawn = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
        assert drawn == {
            "train, each batch": [[1, 0.5], [2, 0.5]],
            "train": [[1, 0.6], [2, 0.6]],
            "val": [[0, 0.8], [1, 0.7], [2, 0.7]],
        }
        assert axes.get_ylabel().startswith(name)
        assert axes.get_xlabel() == "optimiser step (0: before training)"
        assert not axes.collections


def test_a_run_that_logs_nothing_by_step_is_told_what_to_add() -> None:
    message = "logs nothing by step; add --log-every 1 .* --evaluate-every 10steps .*-train"
    for steps in ({}, {"step/lr": [(1, 0.1)]}):
        with pytest.raises(MlrunError, match=message):
            by_step(steps)


def test_of_many_steps_means_are_drawn_with_the_range_they_came_from() -> None:
    random = np.random.default_rng(0)
    curve = list(enumerate(random.normal(size=6001).tolist()))
    figure = by_step({"step/loss": curve, "step/val-loss": curve[::1000]})
    batch, val = figure.axes[0].lines
    assert val.get_xydata().tolist() == [list(pair) for pair in curve[::1000]]
    assert len(batch.get_xydata()) == 301
    means = [np.mean([v for s, v in curve if s // 20 == place]) for place in (0, 7, 300)]
    np.testing.assert_allclose(batch.get_ydata()[[0, 7, 300]], means)
    (shade,) = figure.axes[0].collections
    assert tuple(shade.get_facecolor()[0][:3]) == to_rgba(batch.get_color())[:3]
    assert figure.get_supxlabel() == "means of 20 optimiser steps; shade: lowest to highest"
    assert pixels(figure).std() > 0


def test_bins_are_those_that_numpy_would_make_one_by_one() -> None:
    curve = [(0, 5.0), (1, 1.0), (2, 3.0), (9, 4.0), (11, 6.0)]
    places, means, lows, highs = (column.tolist() for column in binned(curve, 3))
    assert places == [1.0, 10.0]
    assert means == [3.0, 5.0]
    assert (lows, highs) == ([1.0, 4.0], [5.0, 6.0])
    assert [column.tolist() for column in binned(curve, 1)][1:] == [[5, 1, 3, 4, 6]] * 3


def test_a_run_draws_its_steps_or_says_why_not(store: str) -> None:
    given = {**QUICK, "visualisers": "learning-curves", "learning-curves.by": "step"}
    run = mlrun.train({**given, "evaluate_every": "10steps"})
    assert run.failures == {}
    assert artifacts(run.run_id, "figures") == ["learning-curves.png"]
    without = mlrun.train(given)
    assert "logs nothing by step" in without.failures["visualiser learning-curves"]
