"""Figures by optimiser step: what is kept of them, put down and taken up, and shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from mlflow import MlflowClient
from runs import QUICK, plugin, read
from small_training import training

import mlrun
from mlrun.training.state import Series, unpacked
from mlrun.training.state_files import SavedStates, read_state

WITNESS = """
def witness(view):
    import json
    import logging
    told = {name: list(pairs) for name, pairs in view.steps.items()}
    logging.getLogger("mlrun.witness").info("%s", json.dumps([view.epoch, told]))
    for pairs in view.steps.values():
        pairs.append(999, 9.0)
    return {"figure": list(view.steps)}

@mlrun.hookimpl
def register_visualisers(register):
    register(witness)
"""


def series(*pairs: tuple[int, float]) -> Series:
    made = Series()
    for step, value in pairs:
        made.append(step, value)
    return made


def test_a_series_is_read_like_a_list_of_pairs() -> None:
    pairs = [(1, 0.5), (3, 0.25), (4, float("inf"))]
    made = series(*pairs)
    assert list(made) == pairs
    assert len(made) == 3
    assert made[0] == (1, 0.5)
    assert made[-1] == pairs[-1]
    assert made[1:] == pairs[1:]
    assert list(zip(*made, strict=True)) == [(1, 3, 4), (0.5, 0.25, float("inf"))]
    with pytest.raises(IndexError):
        made[3]
    assert list(Series()) == []


def test_a_copy_grows_by_itself() -> None:
    one = series((1, 0.5))
    two = one.copy()
    two.append(2, 0.25)
    one.append(3, 0.125)
    assert (list(one), list(two)) == ([(1, 0.5), (3, 0.125)], [(1, 0.5), (2, 0.25)])


def test_what_was_put_down_is_a_copy_in_tensors_and_goes_on_where_it_was(tmp_path: Path) -> None:
    ours = training(epochs=1).run().state
    for step in (1, 2):
        ours.record_step(step, {"step/loss": 1 / 3 / step, "step/lr": 0.1})
    ours.record_step(2**40, {"step/val-loss": 0.5})
    states = SavedStates(tmp_path)
    states.write(ours.state_dict())
    states.confirm()
    put_down = ours.state_dict()["steps"]
    ours.record_step(3, {"step/loss": 9.0})
    assert (put_down["steps"].dtype, put_down["values"].dtype) == (torch.int64, torch.float64)
    assert put_down["names"] == ["step/loss", "step/lr", "step/val-loss"]
    assert put_down["values"].tolist() == [1 / 3, 1 / 6, 0.1, 0.1, 0.5]
    other = training().state
    other.load_state_dict(read_state(tmp_path / "last.pt"))
    other.record_step(3, {"step/loss": 0.25})
    assert {name: list(pairs) for name, pairs in other.steps.items()} == {
        "step/loss": [(1, 1 / 3), (2, 1 / 6), (3, 0.25)],
        "step/lr": [(1, 0.1), (2, 0.1)],
        "step/val-loss": [(2**40, 0.5)],
    }


def test_a_view_and_the_last_state_have_what_mlflow_has(
    store: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    given = {"log_every": 4, "evaluate_every": "20 steps", "evaluate_train": True, "steps": 42}
    caplog.set_level("INFO", logger="mlrun.witness")
    drawn = {"visualisers": "witness", "plugin": plugin(tmp_path, WITNESS)}
    run = mlrun.train({**QUICK, **given, **drawn})
    assert run.failures == {}
    (line,) = [record.getMessage() for record in caplog.records if record.name == "mlrun.witness"]
    _, seen = json.loads(line)
    figures = ("loss", "accuracy", "lr", "val-loss", "val-accuracy", "train-loss", "train-accuracy")
    assert set(seen) == {f"step/{name}" for name in figures}
    for name, pairs in seen.items():
        logged = MlflowClient().get_metric_history(run.run_id, name)
        assert [(metric.step, metric.value) for metric in logged] == [tuple(pair) for pair in pairs]
    assert [step for step, _ in seen["step/loss"]] == list(range(4, 43, 4))
    assert [step for step, _ in seen["step/val-accuracy"]] == [0, 20, 40]
    (tmp_path / "last.pt").write_bytes(read(run.run_id, "checkpoints/last.pt"))
    kept = read_state(tmp_path / "last.pt")["steps"]
    assert {name: [list(p) for p in pairs] for name, pairs in unpacked(kept).items()} == seen


def test_without_figures_by_step_there_are_none(store: str, tmp_path: Path) -> None:
    run = mlrun.train(QUICK)
    (tmp_path / "last.pt").write_bytes(read(run.run_id, "checkpoints/last.pt"))
    assert read_state(tmp_path / "last.pt")["steps"]["names"] == []
