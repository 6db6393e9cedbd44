"""Every setting does something: for each, a run that would be the same if it were ignored."""

from __future__ import annotations

import io
import time
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mlflow import MlflowClient
from mlrun_datasets.embedded import load_digits
from runs import QUICK, Recorder, artifacts, logged, plugin, read, steps, without

import mlrun
from mlrun.errors import MlrunError, RunFailed
from mlrun.record.folders import run_folder
from mlrun.settings import Settings
from mlrun.training.state import TrainingState
from mlrun.training.state_files import read_state

SGD = {"optimiser": "sgd", "lr": 0.05}
MOMENTUM = {**SGD, "momentum": 0.9}
PLATEAU = {"schedule": "plateau", "epochs": 4, "optimiser": "sgd", "lr": 1e-6}  # nothing better

# setting: what is run without it, what is changed, and a figure that tells
FIGURES: dict[str, tuple[dict[str, object], dict[str, object], str]] = {
    "batch_size": ({}, {"batch_size": 7}, "train/loss"),
    "shuffle": ({}, {"shuffle": False}, "train/loss"),
    "drop_last": ({"batch_size": 100}, {"drop_last": True}, "train/loss"),
    "subset": ({}, {"subset": "random:500"}, "train/loss"),
    "validation": ({}, {"validation": 0.5}, "val/loss"),
    "stratify": ({}, {"stratify": False}, "val/loss"),
    "normalisation": ({}, {"normalisation": "0.3/0.5"}, "train/loss"),
    "rotate": ({}, {"rotate": 10}, "train/loss"),
    "translate": ({}, {"translate": 0.1}, "train/loss"),
    "scale": ({}, {"scale": "0.9,1.1"}, "train/loss"),
    "shear": ({}, {"shear": 10}, "train/loss"),
    "flip": ({}, {"flip": "horizontal"}, "train/loss"),
    "crop": ({}, {"crop": 1}, "train/loss"),
    "erase": ({}, {"erase": 0.5}, "train/loss"),
    "noise": ({}, {"noise": 0.1}, "train/loss"),
    "mixup": ({}, {"mixup": 0.2}, "train/loss"),
    "cutmix": ({}, {"cutmix": 1}, "train/loss"),
    "epochs": ({}, {"epochs": 2}, "train/loss"),
    "steps": ({}, {"steps": 3}, "val/loss"),
    "time_limit": ({"epochs": 3}, {"time_limit": 1e-9}, "val/loss"),
    "initialisation": ({}, {"initialisation": "kaiming-normal"}, "train/loss"),
    "reduction": (SGD, {"reduction": "sum"}, "train/loss"),
    "label_smoothing": ({}, {"label_smoothing": 0.1}, "train/loss"),
    "class_weights": ({}, {"class_weights": "1,1,1,1,1,1,1,1,1,2"}, "train/loss"),
    "accumulate": ({}, {"accumulate": 2}, "train/loss"),
    "clip_norm": ({}, {"clip_norm": 0.01}, "train/loss"),
    "ema": ({}, {"ema": 0.99}, "val/loss"),
    "optimiser": ({}, {"optimiser": "rmsprop"}, "train/loss"),
    "lr": ({}, {"lr": 0.01}, "train/loss"),
    "part_lrs": ({}, {"part_lrs": "out=0.1"}, "train/loss"),
    "momentum": (SGD, {"momentum": 0.9}, "train/loss"),
    "nesterov": (MOMENTUM, {"nesterov": True}, "train/loss"),
    "weight_decay": ({}, {"weight_decay": 0.1}, "train/loss"),
    "schedule": ({}, {"schedule": "cosine"}, "train/loss"),
    "warmup_epochs": ({}, {"warmup_epochs": 1}, "train/loss"),
    "schedule_every": ({"schedule": "step", "epochs": 2}, {"schedule_every": 1}, "lr"),
    "schedule_factor": (
        {"schedule": "step", "epochs": 2, "schedule_every": 1},
        {"schedule_factor": 0.5},
        "lr",
    ),
    "schedule_patience": (PLATEAU, {"schedule_patience": 1}, "lr"),
    "seed": ({}, {"seed": 1}, "train/loss"),
    "precision": ({}, {"precision": "bf16"}, "train/loss"),
    "evaluate_train": ({}, {"evaluate_train": True}, "train/loss"),
    "model": ({}, {"model": "cnn"}, "train/loss"),
    "options": ({}, {"model.widths": "9"}, "train/loss"),
}


@cache
def figures(given: tuple[tuple[str, object], ...]) -> dict[str, float]:
    return mlrun.train(dict(given)).metrics


@pytest.mark.parametrize("name", FIGURES)
def test_a_setting_changes_the_figures(store: str, name: str) -> None:
    base, change, tells = FIGURES[name]
    plain = {**QUICK, **base}
    changed = {**plain, **change}
    if name == "model":
        changed = without(changed, "model.widths")
    assert figures(tuple(plain.items()))[tells] != figures(tuple(changed.items()))[tells]


def test_each_setting_has_a_test_of_its_effect() -> None:
    here = {name.removeprefix("test_effect_of_") for name in globals() if "effect_of" in name}
    elsewhere = {"init_from", "strict", "report"}  # test_transfer.py, test_cli.py, test_report.py
    told = set(FIGURES) | here | elsewhere
    assert set(Settings.model_fields) - told == set()


def test_effect_of_dataset(store: str, tmp_path: Path) -> None:
    with pytest.raises(MlrunError, match="no train-images-idx3-ubyte"):
        mlrun.train({**QUICK, "dataset": "mnist", "data_dir": tmp_path})


def test_effect_of_data_dir(store: str, tmp_path: Path) -> None:
    with pytest.raises(MlrunError, match=str(tmp_path / "there")):
        mlrun.train({**QUICK, "dataset": "mnist", "data_dir": tmp_path / "there"})


def test_effect_of_visualisers(store: str) -> None:
    run = mlrun.train({**QUICK, "visualisers": "confusion-matrix"})
    assert artifacts(run.run_id, "figures") == ["confusion-matrix.png"]


def test_effect_of_probe(store: str) -> None:
    shown = {"model": "cnn", "epochs": 0, "log_model": False, "visualisers": "feature-maps"}
    own, china = (mlrun.train({**shown, "probe": probe}) for probe in ("none", "china"))
    assert "probe.png" in artifacts(china.run_id)
    assert "probe.png" not in artifacts(own.run_id)
    pictures = [
        len(read(run.run_id, f"images/{name}"))
        for run in (own, china)
        for name in artifacts(run.run_id, "images")
        if "conv1" in name and name.endswith("png")
    ]
    assert pictures[1] > 2 * pictures[0]


def test_effect_of_plugin(store: str, tmp_path: Path) -> None:
    code = """
def mine(shape, classes):
    from torch import nn
    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))

@mlrun.hookimpl
def register_models(register):
    register(mine)
"""
    given = {**without(QUICK, "model.widths"), "model": "mine", "plugin": plugin(tmp_path, code)}
    assert mlrun.train(given).metrics["train/loss"] > 0


def test_effect_of_early_stopping(store: str) -> None:
    settings = {**QUICK, **SGD, "lr": 5, "epochs": 9, "early_stopping": 1}
    run = mlrun.train({**settings, "monitor": "val/accuracy"})
    values = [m.value for m in MlflowClient().get_metric_history(run.run_id, "val/accuracy")][1:]
    falls = [e for e in range(2, len(values) + 1) if values[e - 1] <= max(values[: e - 1])]
    assert falls == [len(values)]
    assert len(values) < 9
    reason = "early stopping: val/accuracy not better for 1 evaluation"
    assert logged(run.run_id).data.tags["mlrun.stopped"] == reason


def test_effect_of_cache_features(store: str) -> None:
    frozen = {**without(QUICK, "model.widths"), "subset": 20, "model": "torchvision"}
    frozen |= {"model.arch": "squeezenet1_1", "model.train": "head"}
    for cached, expected in ((True, "after features, 512 numbers an image"), (False, None)):
        run = mlrun.train({**frozen, "cache_features": cached})
        assert logged(run.run_id).data.tags.get("mlrun.frozen_features") == expected


def test_effect_of_device(store: str) -> None:
    with pytest.raises(MlrunError, match="device cuda:7 is not here"):
        mlrun.train({**QUICK, "device": "cuda:7"})


def test_effect_of_deterministic(store: str, tmp_path: Path) -> None:
    code = """
def strict(shape, classes):
    import torch
    from torch import nn

    class Strict(nn.Linear):
        def forward(self, images):
            if not torch.are_deterministic_algorithms_enabled():
                raise RuntimeError("anything goes")
            return super().forward(images.flatten(1))

    return Strict(64, classes)

@mlrun.hookimpl
def register_models(register):
    register(strict)
"""
    given = {**without(QUICK, "model.widths"), "model": "strict", "plugin": plugin(tmp_path, code)}
    with pytest.raises(MlrunError, match="anything goes"):
        mlrun.train(given)
    mlrun.train({**given, "deterministic": True})
    assert not torch.are_deterministic_algorithms_enabled()


def test_effect_of_threads(store: str) -> None:
    run = mlrun.train({**QUICK, "threads": 3})
    assert logged(run.run_id).data.tags["mlrun.threads"] == "3"


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


def test_the_average_is_what_is_drawn_tested_and_kept(store: str, tmp_path: Path) -> None:
    code = """
def witness(view):
    import numpy as np
    seen, told = view.evaluation("train").loss, dict(view.history["train/loss"])[view.epoch]
    assert abs(seen - told) < 1e-6, f"drew a model of loss {seen}, evaluated was {told}"
    return np.zeros((9, 9, 3), dtype="uint8")

@mlrun.hookimpl
def register_visualisers(register):
    register(witness, when="epoch")
"""
    drawn = {"visualisers": "witness", "plugin": plugin(tmp_path, code), "evaluate_train": True}
    run = mlrun.train({**QUICK, **drawn, "ema": 0.99, "normalisation": "none"})
    assert run.failures == {}
    kept = torch.load(io.BytesIO(read(run.run_id, "checkpoints/epoch-1.pt")), weights_only=True)
    weights = kept["model"]
    pixels = load_digits().test.images.flatten(1) / 255
    hidden = F.linear(pixels, weights["fc1.weight"], weights["fc1.bias"]).relu()
    logits = F.linear(hidden, weights["out.weight"], weights["out.bias"])
    tested = np.load(io.BytesIO(read(run.run_id, "predictions/test.npz")))
    assert np.allclose(tested["logits"], logits.numpy(), atol=1e-5)


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
