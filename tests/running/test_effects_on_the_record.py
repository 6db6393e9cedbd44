"""Every setting of the record does something: what is evaluated, logged and kept."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from mlflow import MlflowClient
from runs import QUICK, Recorder, artifacts, logged, steps

import mlrun
from mlrun.errors import RunFailed
from mlrun.record.folders import run_folder
from mlrun.training.state import TrainingState
from mlrun.training.state_files import read_state

SGD = {"optimiser": "sgd", "lr": 0.05}


def test_effect_of_evaluate_every(store: str) -> None:
    rare = mlrun.train({**QUICK, "epochs": 5, "evaluate_every": "2 epochs"})
    assert steps(rare.run_id, "val/loss") == [0, 2, 4, 5]
    assert steps(rare.run_id, "train/loss") == [0, 1, 2, 3, 4, 5]
    often = mlrun.train({**QUICK, "epochs": 2, "evaluate_every": "30steps"})
    assert steps(often.run_id, "val/loss") == [0, 1, 2]
    assert steps(often.run_id, "step/val-accuracy") == [0, 30, 60]
    assert not steps(often.run_id, "step/train-loss")
    plain = mlrun.train({**QUICK, "epochs": 2})
    assert often.metrics["val/loss"] == plain.metrics["val/loss"]


def test_train_figures_of_the_whole_part_are_those_of_an_evaluation(store: str) -> None:
    given = {**QUICK, "evaluate_train": True, "evaluate_every": "30steps", "model.dropout": 0.5}
    run = mlrun.train({**given, "validation": "test"})
    whole = mlrun.train({**given, "validation": "test", "epochs": 2})
    assert steps(run.run_id, "step/train-loss") == steps(run.run_id, "step/val-loss") == [0, 30]
    assert steps(run.run_id, "train/accuracy") == [0, 1]
    first = MlflowClient().get_metric_history(whole.run_id, "train/loss")[1].value
    assert first == run.metrics["train/loss"]


def test_train_figures_of_the_whole_part_come_with_the_evaluations(store: str) -> None:
    run = mlrun.train({**QUICK, "epochs": 3, "evaluate_train": True, "evaluate_every": 2})
    assert steps(run.run_id, "train/loss") == steps(run.run_id, "val/loss") == [0, 2, 3]
    assert steps(run.run_id, "lr") == [1, 2, 3]


def test_effect_of_sync_wait(store: str, home: Path) -> None:
    (home / "mlruns").write_text("in the way of the artifacts")
    started = time.monotonic()
    assert mlrun.train({**QUICK, "sync_wait": 0}).unsent
    assert time.monotonic() - started < 50  # the default waits a minute


def test_effect_of_log_every(store: str) -> None:
    run = mlrun.train({**QUICK, "log_every": 10, "schedule": "cosine"})
    for name in ("step/loss", "step/accuracy", "step/lr"):
        assert steps(run.run_id, name) == [10, 20, 30, 40]
    every = mlrun.train({**QUICK, "log_every": 1, "batch_size": 431})
    history = MlflowClient().get_metric_history(every.run_id, "step/loss")
    assert sum(m.value for m in history) / 3 == pytest.approx(every.metrics["train/loss"])
    assert [m.timestamp for m in history] == sorted(m.timestamp for m in history)
    assert not [name for name in logged(mlrun.train(QUICK).run_id).data.metrics if "step/" in name]


def test_figures_by_step_are_logged_also_where_the_training_fails(store: str) -> None:
    diverging = {**QUICK, **SGD, "lr": 1e30, "log_every": 1}
    with pytest.raises(RunFailed):
        mlrun.train(diverging)
    (run,) = MlflowClient().search_runs(["0"])
    assert len(steps(run.info.run_id, "step/loss")) == 41


def test_effect_of_system_metrics(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.1")
    run = mlrun.train({**QUICK, "epochs": 40, "system_metrics": True})
    found = logged(run.run_id).data.metrics
    assert 0 < found["system/system_memory_usage_percentage"] < 100
    used = MlflowClient().get_metric_history(run.run_id, "system/cpu_utilization_percentage")
    assert used[0].value > 0  # the first one too
    assert len(steps(run.run_id, "system/cpu_utilization_percentage")) > 1
    plain = mlrun.train(QUICK)
    assert not [name for name in logged(plain.run_id).data.metrics if name.startswith("system/")]


def test_effect_of_test_variants(store: str) -> None:
    plain = mlrun.train(QUICK)
    run = mlrun.train({**QUICK, "test_variants": "rotate=25,shift=1+noise=0.1"})
    names = {name.partition("/")[0] for name in set(run.metrics) - set(plain.metrics)}
    assert names == {"test-rotated-25", "test-shifted-1-noised-0.1"}
    assert artifacts(run.run_id, "predictions") == [
        "test-rotated-25.npz",
        "test-shifted-1-noised-0.1.npz",
        "test.npz",
    ]
    assert run.metrics["test/loss"] == plain.metrics["test/loss"]


def test_effect_of_keep(store: str) -> None:
    run = mlrun.train({**QUICK, "epochs": 3, "keep": 1})
    assert len(artifacts(run.run_id, "checkpoints")) == 2


def test_effect_of_checkpoint_every(store: str) -> None:
    for every, expected in (("9 steps", [9, 18, 27, 36]), ("none", [])):
        seen = []

        def look(state: TrainingState, tally: object, seen: list[int] = seen) -> None:
            file = run_folder(MlflowClient().search_runs(["0"])[0].info.run_id) / "last.pt"
            if file.exists() and (step := read_state(file)["step"]) not in seen:
                seen.append(step)

        progress = Recorder()
        progress.step = look  # type: ignore[method-assign,assignment]  # called as a method would be
        mlrun.train({**QUICK, "checkpoint_every": every}, progress=progress)
        assert seen == expected


def test_effect_of_monitor(store: str) -> None:
    run = mlrun.train({**QUICK, "epochs": 3, "keep": 1, "monitor": "train/loss"})
    assert artifacts(run.run_id, "checkpoints") == ["epoch-3.pt", "last.pt"]
    worst = mlrun.train({**QUICK, **SGD, "lr": 5, "epochs": 3, "keep": 3})
    assert worst.best_epoch == min(
        range(1, 4),
        key=lambda e: MlflowClient().get_metric_history(worst.run_id, "val/loss")[e].value,
    )


def test_effect_of_log_model(store: str) -> None:
    run = mlrun.train({**QUICK, "log_model": True})
    assert MlflowClient().get_run(run.run_id).outputs.model_outputs
    assert not MlflowClient().get_run(mlrun.train(QUICK).run_id).outputs.model_outputs


def test_effect_of_experiment(store: str) -> None:
    run = mlrun.train({**QUICK, "experiment": "mine"})
    assert MlflowClient().get_experiment(run.experiment_id).name == "mine"
    assert run.link.endswith(f"/#/experiments/{run.experiment_id}/runs/{run.run_id}")


def test_effect_of_run_name(store: str) -> None:
    run = mlrun.train({**QUICK, "run_name": "first"})
    assert logged(run.run_id).info.run_name == run.name == "first"


def test_effect_of_tags(store: str) -> None:
    run = mlrun.train({**QUICK, "tags": {"a": "b"}})
    assert logged(run.run_id).data.tags["a"] == "b"
