"""Groups of runs that are repetitions of each other, and what tells runs and groups apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from accounts import account

from mlrun.pages.comparison_charts import comparison_charts
from mlrun.pages.comparison_rows import rows_of
from mlrun.pages.groups import Group, averaged, grouped, labels, run_labels


def test_runs_that_differ_in_nothing_but_the_seed_are_a_group() -> None:
    runs = [
        account(1, {"seed": "0"}),
        account(2, {"seed": "0", "model": "cnn"}),
        account(3, {"seed": "1", "experiment": "another", "visualisers": "none"}),
        account(4, {"seed": "1", "model": "cnn", "model.dropout": "0.1"}),
        account(5, {"seed": "2", "run_name": "mine"}),
    ]
    groups = grouped(runs)
    assert [group.runs for group in groups] == [(0, 2, 4), (1,), (3,)]
    assert [group.label for group in groups] == ["mlp", "cnn (00000002)", "cnn (00000004)"]
    assert run_labels(runs, groups) == [
        "mlp, seed 0", "cnn (00000002)", "mlp, seed 1", "cnn (00000004)", "mlp, seed 2"
    ]  # fmt: skip


def test_seeds_of_one_group_alone_are_called_by_the_seed_and_the_same_seed_twice_by_its_run() -> (
    None
):
    runs = [account(n, {"seed": seed}) for n, seed in enumerate(("3", "4", "4"))]
    (group,) = grouped(runs)
    assert run_labels(runs, [group]) == ["seed 3", "seed 4 (00000001)", "seed 4 (00000002)"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("keep", "5"), ("device", "cuda"), ("threads", "2"), ("deterministic", "true")],
        *[("cache_features", "false"), ("weights.cmap", "magma"), ("tags", "team=a")],
    ],
)
def test_runs_that_differ_in_what_decides_nothing_are_repetitions(name: str, value: str) -> None:
    runs = [account(1, {"seed": "0"}), account(2, {"seed": "1", name: value})]
    assert [group.runs for group in grouped(runs)] == [(0, 1)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("precision", "bf16"), ("evaluate_every", "2"), ("monitor", "val/accuracy")],
        *[("plugin", "mine.py"), ("dataset.size", "28"), ("a_setting_of_another_version", "1")],
    ],
)
def test_runs_that_differ_in_what_decides_are_apart(name: str, value: str) -> None:
    runs = [account(1, {"seed": "0"}), account(2, {"seed": "1", name: value})]
    assert [group.runs for group in grouped(runs)] == [(0,), (1,)]


def test_runs_without_params_are_never_taken_for_alike() -> None:
    runs = [replace(account(n), params={}) for n in range(2)]
    assert len(grouped(runs)) == 2
    assert len(set(labels(runs))) == 2


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ([{"lr": "0.1"}, {"lr": "0.2"}], ["lr 0.1", "lr 0.2"]),
        ([{"model": "a"}, {"model": "b", "lr": "1"}], ["a", "b"]),  # no more than it takes
        (
            [{"model": "a", "lr": "1"}, {"model": "a", "lr": "2"}, {"model": "b", "lr": "2"}],
            ["a, lr 1", "a, lr 2", "b, lr 2"],
        ),
        ([{"run_name": "one"}, {"run_name": "two"}], ["run 0", "run 1"]),  # what the user said
        (
            [{"init_from": "x" * 30}, {"init_from": "none", "weights.cmap": "grey"}],
            [f"init_from {'x' * 23}…", "init_from none"],
        ),
    ],
)
def test_labels_are_what_tells_runs_apart(
    params: list[dict[str, str]], expected: list[str]
) -> None:
    assert labels([account(n, one) for n, one in enumerate(params)]) == expected


def test_mean_and_spread_are_numpys_at_the_epochs_that_all_runs_have() -> None:
    values = np.random.default_rng(0).random((3, 6))
    curves = [list(enumerate(row.tolist())) for row in values]
    found = averaged([curves[0], curves[1], curves[2][:4], []])
    assert [average.epoch for average in found] == [0, 1, 2, 3]
    for average, column in zip(found, values.T, strict=False):
        assert average.mean == pytest.approx(column.mean())
        assert average.deviation == pytest.approx(column.std(ddof=1))
        assert (average.low, average.high) == (column.min(), column.max())
    (alone, *_) = averaged([curves[0]])
    assert (alone.mean, alone.deviation) == (values[0, 0], 0)
    assert averaged([[]]) == []


def test_a_group_is_a_line_with_a_band_or_its_runs() -> None:
    histories = [[(0, 1.0), (1, 2.0)], [(0, 3.0), (1, 6.0)], [(0, 5.0), (1, 5.0)]]
    runs = [
        account(n, {"seed": str(n), "model": "b" if n == 2 else "a"}, history={"val/loss": points})
        for n, points in enumerate(histories)
    ]
    groups = grouped(runs)
    found = comparison_charts(runs, groups, rows_of(runs, groups))
    first, second = found["deviation"]["val/loss"]["series"]
    assert (first["name"], second["name"]) == ("a (mean of 2)", "b")
    assert first["points"] == [(0, 2.0), (1, 4.0)]
    assert first["band"] == [
        pytest.approx((0, 2 - 2**0.5, 2 + 2**0.5)),
        pytest.approx((1, 4 - 8**0.5, 4 + 8**0.5)),
    ]
    assert found["range"]["val/loss"]["series"][0]["band"] == [(0, 1.0, 3.0), (1, 2.0, 6.0)]
    names = [line["name"] for line in found["single"]["val/loss"]["series"]]
    assert names == ["a, seed 0", "a, seed 1", "b"]
    assert "band" not in second


def test_one_group_alone_is_called_by_its_name() -> None:
    assert grouped([account(0), account(1, {"seed": "1"})]) == [Group("run 0", (0, 1))]
