"""mlrun.train: what a run looks like in MLflow, however it ends."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import numpy as np
import pytest
import torch
import yaml
from mlflow import MlflowClient
from runs import QUICK, TIMES, artifacts, logged, only_run, plugin, read, steps, without

import mlrun
from mlrun.record.folders import run_folder


@pytest.fixture
def full(store: str) -> mlrun.Run:
    return mlrun.train(
        {"model": "cnn", "model.channels": "4", "epochs": 2, "tags": "team=a", "seed": 3}
    )


def test_a_whole_run_as_it_stands_in_mlflow(full: mlrun.Run) -> None:
    run = logged(full.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "cnn channels=4 · digits · lr 0.001"
    params = run.data.params
    assert params["model.channels"] == "4"
    assert params["model.batch_norm"] == "false"
    assert params["weights.cmap"] == "RdBu_r"
    assert params["momentum"] == "0.0"

    for name in ("train/loss", "train/accuracy", "val/loss", "val/accuracy"):
        assert steps(full.run_id, name) == [0, 1, 2]
    assert steps(full.run_id, "lr") == steps(full.run_id, "examples_per_second") == [1, 2]
    assert steps(full.run_id, "test/accuracy") == [full.best_epoch]
    assert run.data.metrics["test/accuracy"] == full.metrics["test/accuracy"]

    tags = run.data.tags
    assert tags["team"] == "a"
    assert tags["mlrun.status"] == "FINISHED"
    assert tags["mlrun.version"] == mlrun.__version__
    assert tags["mlrun.torch"] == torch.__version__
    assert tags["mlrun.device"] in ("cpu", "cuda", "mps", "xpu")
    assert tags["mlrun.model"].startswith("mlrun-models/cnn from mlrun-models (mlrun-vision ")
    assert tags["mlrun.visualiser.weights"].startswith("mlrun-visualisers/weights from")
    assert int(tags["mlrun.threads"]) >= 1
    assert len(tags["mlrun.weights_sha256"]) == 64
    assert tags["mlrun.best_epoch"] == str(full.best_epoch)

    inputs = {i.dataset.name: i for i in run.inputs.dataset_inputs}
    assert set(inputs) == {"digits/train", "digits/val", "digits/test"}
    assert {i.tags[0].value for i in inputs.values()} == {"training", "validation", "test"}
    assert json.loads(inputs["digits/test"].dataset.profile)["images"] == 360
    assert len({i.dataset.digest for i in inputs.values()}) == 3

    assert set(artifacts(full.run_id)) >= {
        "checkpoints",
        "environment.txt",
        "figures",
        "images",
        "model-summary.txt",
        "predictions",
        "settings.yaml",
    }
    assert artifacts(full.run_id, "figures") == [
        "confusion-matrix.png",
        "learning-curves.png",
        "robustness.png",
    ]
    assert artifacts(full.run_id, "checkpoints") == ["epoch-1.pt", "epoch-2.pt", "last.pt"]
    assert (
        "690 parameters: 690 trained, 0 frozen" in read(full.run_id, "model-summary.txt").decode()
    )
    assert f"torch=={torch.__version__.partition('+')[0]}" in (
        read(full.run_id, "environment.txt").decode()
    )
    assert not run_folder(full.run_id).exists()
    assert full.failures == {}


def test_pictures_of_each_epoch_line_up_under_one_key(full: mlrun.Run) -> None:
    names = artifacts(full.run_id, "images")
    pictures = [name.split("+") for name in names if name.endswith(".png")]
    found: dict[str, list[int]] = {}
    for key, _, step, *_ in pictures:
        found.setdefault(key, []).append(int(step))
    assert {key: sorted(at) for key, at in found.items()} == {
        "weights-conv1": [0, 1, 2],
        "feature-maps-conv1": [0, 1, 2],
        "feature-maps-act1": [0, 1, 2],
    }
    assert len(names) == 2 * len(pictures)


def test_the_predictions_of_the_test_part_are_kept_and_give_the_accuracy(full: mlrun.Run) -> None:
    with np.load(io.BytesIO(read(full.run_id, "predictions/test.npz"))) as kept:
        logits, labels, indices = kept["logits"], kept["labels"], kept["indices"]
    assert logits.shape == (360, 10)
    assert indices.tolist() == list(range(360))
    assert (logits.argmax(1) == labels).mean() == full.metrics["test/accuracy"]


def test_a_run_s_own_settings_are_a_recipe_that_gives_the_same_numbers(
    full: mlrun.Run, home: Path
) -> None:
    text = read(full.run_id, "settings.yaml").decode()
    again = mlrun.train(yaml.safe_load(text))
    same = {k: v for k, v in full.metrics.items() if k not in TIMES}
    assert {k: again.metrics[k] for k in same} == same
    assert (
        logged(again.run_id).data.tags["mlrun.weights_sha256"]
        == logged(full.run_id).data.tags["mlrun.weights_sha256"]
    )
    assert logged(again.run_id).data.params == logged(full.run_id).data.params


def test_the_best_checkpoint_is_the_one_with_the_lowest_validation_loss(full: mlrun.Run) -> None:
    values = MlflowClient().get_metric_history(full.run_id, "val/loss")
    best = min((m for m in values if m.step > 0), key=lambda m: m.value).step
    assert full.best_epoch == best
    path = mlflow.artifacts.download_artifacts(full.best_weights)
    content = torch.load(path, weights_only=True)
    assert content["epoch"] == best


def test_the_logged_model_takes_raw_pixels_and_gives_our_logits(full: mlrun.Run) -> None:
    from sklearn.datasets import load_digits

    (output,) = logged(full.run_id).outputs.model_outputs
    raw = (load_digits().images[::5, None] * 255 / 16).round().astype(np.float32)
    model = mlflow.pyfunc.load_model(f"models:/{output.model_id}")
    logits = model.predict(raw)
    with np.load(io.BytesIO(read(full.run_id, "predictions/test.npz"))) as kept:
        np.testing.assert_allclose(logits, kept["logits"], rtol=1e-4, atol=1e-5)
    about = model.metadata.metadata
    assert about["input"] == "raw pixels 0–255 of any number type, (N, 1, 8, 8)"
    assert model.metadata.signature.outputs.inputs[0].shape == (-1, 10)
    requirements = (
        Path(mlflow.artifacts.download_artifacts(f"models:/{output.model_id}")) / "requirements.txt"
    ).read_text()
    assert requirements.splitlines() == [
        f"mlflow=={mlflow.__version__}",
        f"torch=={torch.__version__.partition('+')[0]}",
        f"numpy=={np.__version__}",
    ]


NUMBER_TYPES = (
    "uint8",
    "int16",
    "uint16",
    "int32",
    "int64",
    "float16",
    "float32",
    "float64",
    "bool",
)


def test_the_logged_model_takes_pixels_of_any_number_type(
    full: mlrun.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    (output,) = logged(full.run_id).outputs.model_outputs
    model = mlflow.pyfunc.load_model(f"models:/{output.model_id}")
    program = mlflow.pytorch.load_model(f"models:/{output.model_id}")
    raw = np.random.default_rng(0).integers(0, 256, (3, 1, 8, 8))
    for name in NUMBER_TYPES:
        pixels = raw.astype(name)
        expected = model.predict(pixels.astype(np.float32))
        np.testing.assert_allclose(model.predict(pixels), expected, rtol=1e-5, atol=1e-6)
        logits = program(torch.from_numpy(pixels)).detach()
        np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-6)
    fractions = raw / 255
    near = model.predict(fractions.astype(np.float32))
    np.testing.assert_allclose(model.predict(fractions), near, rtol=1e-5, atol=1e-6)
    assert np.abs(near - model.predict(np.zeros_like(fractions))).max() > 1e-4
    for shape, dimension in (((2, 1, 8, 9), 3), ((2, 3, 8, 8), 1), ((2, 8, 8), 1)):
        with pytest.raises(AssertionError, match=rf"images\.size\(\)\[{dimension}\]"):
            model.predict(np.zeros(shape, np.uint8))


MANY_CLASSES = """
def dozen(root):
    import torch
    drawn = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (240, 1, 8, 8), dtype=torch.uint8, generator=drawn)
    labels = torch.arange(240) % 12
    return mlrun.ImageData(train=(images, labels), classes=tuple("abcdefghijkl"))

@mlrun.hookimpl
def register_datasets(register):
    register(dozen)
"""


def test_many_classes_have_top_5_figures_and_without_a_test_part_the_table_is_of_validation(
    store: str, tmp_path: Path
) -> None:
    path = plugin(tmp_path, MANY_CLASSES)
    run = mlrun.train({**QUICK, "dataset": "dozen", "plugin": path, "validation": 0.25})
    assert steps(run.run_id, "val/top5-accuracy") == [0, 1]
    assert run.metrics["val/accuracy"] <= run.metrics["val/top5-accuracy"] <= 1
    assert not steps(run.run_id, "train/top5-accuracy")  # it would stay that of epoch 0
    table = json.loads(read(run.run_id, "tables/per-class.json"))
    assert table["columns"] == ["class", "precision", "recall", "f1", "support"]
    assert [row[0] for row in table["data"]] == list("abcdefghijkl")
    assert sum(row[-1] for row in table["data"]) == 60
    assert not [row for row in table["data"] if None in row]  # which MLflow would show as null
    assert not [name for name in run.metrics if name.startswith("test/")]


def test_classes_that_are_not_validated_are_named(
    store: str, tmp_path: Path, told: Callable[[], str]
) -> None:
    given = {**QUICK, "dataset": "dozen", "plugin": plugin(tmp_path, MANY_CLASSES)}
    mlrun.train({**given, "validation": 0.25})
    assert "has no image" not in told()
    mlrun.train({**given, "validation": 0.02})  # 5 images of 12 classes
    found = re.search(r"the validation part has no image of (\d+) of 12 classes: (.*), …;", told())
    assert found is not None
    assert int(found[1]) == 7
    assert len(found[2].split(", ")) == 5


def test_an_epoch_is_told_once_its_weights_are_on_disk(store: str) -> None:
    seen = []

    def told(epoch: int, metrics: object) -> None:
        folder = run_folder(only_run().info.run_id)
        seen.append((epoch, sorted(path.name for path in folder.glob("*.pt"))))

    silent = SimpleNamespace(
        note=lambda _: None, warn=lambda _: None, start=lambda *_: None, step=lambda *_: None,
        epoch=told, finish=lambda: None,
    )  # fmt: skip
    mlrun.train(QUICK, progress=silent)
    assert seen == [(0, []), (1, ["epoch-1.pt", "last.pt"])]


def test_a_last_batch_of_one_image_trains_where_batch_normalisation_can(store: str) -> None:
    maps = {"model": "cnn", "model.channels": "4", "model.batch_norm": True, "batch_size": 4}
    run = mlrun.train({**without(QUICK, "model.widths"), **maps})
    assert run.metrics["train/loss"] > 0


def test_no_epochs_evaluate_and_draw_the_untrained_model(store: str) -> None:
    run = mlrun.train({"model": "logistic", "epochs": 0, "log_model": False})
    assert run.best_epoch == 0
    assert steps(run.run_id, "train/loss") == steps(run.run_id, "test/loss") == [0]
    assert artifacts(run.run_id, "checkpoints") == ["epoch-0.pt", "last.pt"]
    assert any("weights-out+step+0" in name for name in artifacts(run.run_id, "images"))
    assert run.metrics["test/loss"] == pytest.approx(np.log(10), abs=0.5)


def test_threads_and_random_states_are_the_caller_s_again(store: str) -> None:
    torch.manual_seed(7)
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    run = mlrun.train({**QUICK, "threads": 1})
    assert logged(run.run_id).data.tags["mlrun.threads"] == "1"
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.get_num_threads() == threads


@pytest.mark.slow
def test_runs_that_start_together_on_an_absent_store_all_finish(home: Path) -> None:
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{home}/new.db"}
    command = [sys.executable, "-m", "mlrun", "train", "--quiet", "--visualisers", "none"]
    options = ["--epochs", "0", "--log-model", "false", "--threads", "1"]
    started = [
        subprocess.Popen([*command, *options], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    ids = [process.communicate(timeout=120)[0].strip() for process in started]
    assert [process.returncode for process in started] == [0, 0, 0]
    client = MlflowClient(f"sqlite:///{home}/new.db")
    assert {run.info.run_id for run in client.search_runs(["0"])} == set(ids)
    assert {run.info.status for run in client.search_runs(["0"])} == {"FINISHED"}


def test_progress_is_told_in_order(store: str) -> None:
    class Heard:
        def __init__(self) -> None:
            self.calls: list[Any] = []

        def note(self, text: str) -> None:
            self.calls.append("note")

        def warn(self, text: str) -> None:
            self.calls.append("warn")

        def start(self, steps: int, steps_an_epoch: int, examples: int) -> None:
            self.calls.append(("start", steps, steps_an_epoch, examples))

        def step(self, state: object, tally: object) -> None:
            self.calls.append("step")

        def epoch(self, epoch: int, metrics: object) -> None:
            self.calls.append(("epoch", epoch))

        def finish(self) -> None:
            self.calls.append("finish")

    heard = Heard()
    started = time.monotonic()
    mlrun.train({**QUICK, "batch_size": 500}, progress=heard)
    assert time.monotonic() > started
    assert [call for call in heard.calls if call != "note"] == [
        ("start", 3, 3, 1293),
        ("epoch", 0),
        "step",
        "step",
        "step",
        ("epoch", 1),
        "finish",
    ]
