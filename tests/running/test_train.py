"""mlrun.train: what a run looks like in MLflow, however it ends."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch
import yaml
from mlflow import MlflowClient
from runs import QUICK, TIMES, artifacts, logged, read, steps, without

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
