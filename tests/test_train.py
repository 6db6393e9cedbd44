"""mlrun.train: what a run looks like in MLflow, however it ends."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
import torch
import yaml
from conftest import heed_interrupts
from mlflow import MlflowClient
from mlflow.entities import Run as MlflowRun

import mlrun
from mlrun.errors import MlrunError, RunFailed
from mlrun.record.folders import run_folder

QUICK: dict[str, object] = {
    "model": "mlp",
    "model.widths": "8",
    "epochs": 1,
    "visualisers": "none",
    "log_model": False,
}


def logged(run_id: str) -> MlflowRun:
    return MlflowClient().get_run(run_id)


def only_run() -> MlflowRun:
    (run,) = MlflowClient().search_runs(["0"])
    return run


def artifacts(run_id: str, folder: str = "") -> list[str]:
    return sorted(Path(item.path).name for item in MlflowClient().list_artifacts(run_id, folder))


def read(run_id: str, path: str) -> bytes:
    return Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=path)).read_bytes()


def steps(run_id: str, name: str) -> list[int]:
    return [metric.step for metric in MlflowClient().get_metric_history(run_id, name)]


def plugin(tmp_path: Path, code: str) -> str:
    path = tmp_path / "mine.py"
    path.write_text(f"import mlrun\n{code}\n")
    return str(path)


def without(settings: dict[str, object], name: str) -> dict[str, object]:
    return {key: value for key, value in settings.items() if key != name}


@pytest.fixture
def full(store: str) -> mlrun.Run:
    return mlrun.train(
        {"model": "cnn", "model.channels": "4", "epochs": 2, "tags": "team=a", "seed": 3}
    )


def test_a_whole_run_as_it_stands_in_mlflow(full: mlrun.Run) -> None:
    run = logged(full.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "cnn · digits · lr 0.001"
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
    assert artifacts(full.run_id, "figures") == ["confusion-matrix.png", "learning-curves.png"]
    assert artifacts(full.run_id, "checkpoints") == ["epoch-1.pt", "epoch-2.pt", "last.pt"]
    assert "Total params: 690" in read(full.run_id, "model-summary.txt").decode()
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
    same = {k: v for k, v in full.metrics.items() if k != "examples_per_second"}
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
    content = torch.load(
        io.BytesIO(read(full.run_id, f"checkpoints/epoch-{best}.pt")), weights_only=True
    )
    assert content["epoch"] == best


def test_the_logged_model_takes_raw_pixels_and_gives_our_logits(full: mlrun.Run) -> None:
    from sklearn.datasets import load_digits

    (output,) = logged(full.run_id).outputs.model_outputs
    raw = (load_digits().images[::5, None] * 255 / 16).round().astype(np.float32)
    model = mlflow.pyfunc.load_model(f"models:/{output.model_id}")
    logits = model.predict(raw)
    with np.load(io.BytesIO(read(full.run_id, "predictions/test.npz"))) as kept:
        np.testing.assert_allclose(logits, kept["logits"], rtol=1e-4, atol=1e-5)
    signature = model.metadata.signature
    assert signature.inputs.inputs[0].shape == (-1, 1, 8, 8)
    requirements = (
        Path(mlflow.artifacts.download_artifacts(f"models:/{output.model_id}")) / "requirements.txt"
    ).read_text()
    assert requirements.splitlines() == [
        f"mlflow=={mlflow.__version__}",
        f"torch=={torch.__version__.partition('+')[0]}",
        f"numpy=={np.__version__}",
    ]


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


@pytest.mark.parametrize(
    ("change", "tells"),
    [
        ({"batch_size": 7}, "train/loss"),
        ({"lr": 0.01}, "train/loss"),
        ({"optimiser": "sgd"}, "train/loss"),
        ({"optimiser": "adamw", "weight_decay": 0.9}, "train/loss"),
        ({"shuffle": False}, "train/loss"),
        ({"drop_last": True, "batch_size": 100}, "train/loss"),
        ({"seed": 1}, "train/loss"),
        ({"subset": 500}, "train/loss"),
        ({"subset": "random:500"}, "train/loss"),
        ({"validation": 0.5}, "val/loss"),
        ({"validation": "test"}, "val/loss"),
        ({"normalisation": "none"}, "train/loss"),
        ({"normalisation": "0.3/0.5"}, "train/loss"),
        ({"model.widths": "9"}, "train/loss"),
    ],
)
def test_no_setting_is_ignored(store: str, change: dict[str, object], tells: str) -> None:
    plain = mlrun.train(QUICK)
    changed = mlrun.train({**QUICK, **change})
    assert plain.metrics[tells] != changed.metrics[tells]


def test_momentum_and_nesterov_are_not_ignored(store: str) -> None:
    sgd = {**QUICK, "optimiser": "sgd", "lr": 0.05}
    runs = [
        mlrun.train({**sgd, **extra})
        for extra in ({}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True})
    ]
    assert len({run.metrics["train/loss"] for run in runs}) == 3


def test_keep_and_monitor_are_not_ignored(store: str) -> None:
    run = mlrun.train({**QUICK, "epochs": 3, "keep": 1, "monitor": "train/loss"})
    assert artifacts(run.run_id, "checkpoints") == ["epoch-3.pt", "last.pt"]


def test_experiment_name_and_tags_are_not_ignored(store: str) -> None:
    run = mlrun.train({**QUICK, "experiment": "mine", "run_name": "first", "tags": {"a": "b"}})
    found = logged(run.run_id)
    assert MlflowClient().get_experiment(found.info.experiment_id).name == "mine"
    assert (found.info.run_name, found.data.tags["a"]) == ("first", "b")
    assert run.link.endswith(f"/#/experiments/{run.experiment_id}/runs/{run.run_id}")


FAILING_VISUALISER = """
def breaks(view):
    raise RuntimeError(f"no picture of epoch {view.epoch}")
@mlrun.hookimpl
def register_visualisers(register):
    register(breaks, when="epoch")
"""


def test_a_failing_visualiser_costs_its_picture_and_not_the_run(store: str, tmp_path: Path) -> None:
    run = mlrun.train(
        {
            **QUICK,
            "visualisers": "breaks,learning-curves",
            "plugin": plugin(tmp_path, FAILING_VISUALISER),
        }
    )
    assert run.failures == {"visualiser breaks": "at epoch 0: RuntimeError: no picture of epoch 0"}
    found = logged(run.run_id)
    assert found.info.status == "FINISHED"
    assert found.data.tags["mlrun.failed.breaks"] == run.failures["visualiser breaks"]
    assert b"RuntimeError: no picture of epoch 0" in read(run.run_id, "failures/breaks.txt")
    assert artifacts(run.run_id, "figures") == ["learning-curves.png"]


def test_the_text_and_digest_of_a_plugin_file_are_logged(store: str, tmp_path: Path) -> None:
    import hashlib

    path = plugin(tmp_path, FAILING_VISUALISER)
    run = mlrun.train({**QUICK, "plugin": path})
    text = Path(path).read_bytes()
    assert read(run.run_id, "plugins/mine.py") == text
    tags = logged(run.run_id).data.tags
    assert tags["mlrun.plugin_file.mine.py"] == hashlib.sha256(text).hexdigest()


FAILING_MODEL = """
def breaks(shape, classes, *, after: int = 2):
    import torch
    class Breaks(torch.nn.Linear):
        def forward(self, images):
            if self.training:
                raise RuntimeError("postgresql://ann:secret@db is down")
            return super().forward(images.flatten(1))
    return Breaks(64, classes)
def diverges(shape, classes):
    import torch
    class Diverges(torch.nn.Sequential):
        def loss(self, outputs, labels):
            return outputs.sum() * float("nan")
    return Diverges(torch.nn.Flatten(), torch.nn.Linear(64, classes))
def narrow(shape, classes):
    import torch
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3))
def grey(shape, classes):
    import torch
    return torch.nn.Conv2d(3, 1, 1)
def leaves(shape, classes):
    import sys, torch
    class Leaves(torch.nn.Linear):
        def forward(self, images):
            if self.training:
                sys.exit(3)
            return super().forward(images.flatten(1))
    return Leaves(64, classes)
def fixed(shape, classes):
    import torch
    class Fixed(torch.nn.Module):
        def forward(self, images):
            return images.flatten(1)[:, :10]
    return Fixed()
def nothing(shape, classes):
    return None
def misspelt(shape, classes):
    from torch import nn
    return nn.Linearr(64, classes)
def lossy(shape, classes):
    import torch
    class Lossy(torch.nn.Sequential):
        def loss(self, outputs, labels):
            return outputs
    return Lossy(torch.nn.Flatten(), torch.nn.Linear(64, classes))
def branches(shape, classes):
    import torch
    class Branches(torch.nn.Linear):
        def forward(self, images):
            flat = images.flatten(1)
            if flat.sum() > 0:
                flat = flat + 0
            return super().forward(flat)
    return Branches(64, classes)
@mlrun.hookimpl
def register_models(register):
    for build in (breaks, diverges, leaves, fixed, misspelt, lossy, narrow, grey, nothing):
        register(build)
    register(branches)
"""


def test_a_failing_model_ends_the_run_as_failed_with_the_reason(store: str, tmp_path: Path) -> None:
    settings = {**QUICK, "model": "breaks", "plugin": plugin(tmp_path, FAILING_MODEL)}
    del settings["model.widths"]
    with pytest.raises(
        RunFailed, match=r"failed: RuntimeError: postgresql://\*\*\*@db is down"
    ) as e:
        mlrun.train(settings)
    run = only_run()
    assert run.info.run_id == e.value.run_id
    assert run.info.status == "FAILED"
    assert run.data.tags["mlrun.reason"] == "RuntimeError: postgresql://***@db is down"
    assert b"secret" not in read(run.info.run_id, "failure.txt")
    assert steps(run.info.run_id, "val/loss") == [0]  # what was logged before is there


def test_a_loss_that_is_no_number_ends_the_run_as_failed(store: str, tmp_path: Path) -> None:
    settings = {**QUICK, "model": "diverges", "plugin": plugin(tmp_path, FAILING_MODEL)}
    del settings["model.widths"]
    with pytest.raises(RunFailed, match="the loss is nan at step 1 of epoch 1; try a smaller lr"):
        mlrun.train(settings)
    assert only_run().info.status == "FAILED"


def test_a_model_that_cannot_be_exported_costs_the_servable_model_only(
    store: str, tmp_path: Path
) -> None:
    settings = {
        **QUICK,
        "model": "branches",
        "log_model": True,
        "plugin": plugin(tmp_path, FAILING_MODEL),
    }
    del settings["model.widths"]
    run = mlrun.train(settings)
    assert list(run.failures) == ["servable model"]
    assert logged(run.run_id).info.status == "FINISHED"
    assert "mlrun.failed.model" in logged(run.run_id).data.tags


BAD_DATA = """
import torch
def flat(root):
    return mlrun.ImageData(
        train=mlrun.Part(torch.zeros(9, 1, 8, 8, dtype=torch.uint8), torch.arange(9)),
        classes=("a", "b"))
def empty(root):
    return mlrun.ImageData(
        train=mlrun.Part(torch.zeros(0, 1, 8, 8, dtype=torch.uint8), torch.arange(0)),
        classes=("a", "b"))
def list_(root):
    return []
@mlrun.hookimpl
def register_datasets(register):
    register(flat)
    register(empty)
    register(list_, name="list")
"""


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"model": "misspelt"},
            "model misspelt: cannot be built for images (1, 8, 8) and 10 classes: AttributeError:",
        ),
        (
            {"model": "lossy"},
            "model lossy and data set digits do not fit: loss(outputs, labels): TypeError: it "
            "returned (2, 10); expected a scalar mean or (2,)",
        ),
        ({"model": "nothing"}, "model nothing: its plugin mine (mine.py "),
        (
            {"model": "narrow"},
            "model narrow and data set digits do not fit: of images (2, 1, 8, 8) the model makes "
            "(2, 3), expected logits (2, 10)",
        ),
        (
            {"model": "grey"},
            "model grey and data set digits do not fit: the model failed on images (2, 1, 8, 8): "
            "RuntimeError: Given groups=1, weight of size [1, 3, 1, 1]",
        ),
        (
            {"model": "lenet"},
            "model lenet: cannot be built for images (1, 8, 8) and 10 classes: ValueError: images "
            "are 8 × 8; LeNet needs at least 16 × 16",
        ),
        ({"model": "mlp", "model.dropout": 2}, "model mlp: cannot be built for images (1, 8, 8)"),
        (
            {"dataset": "mnist", "data_dir": "nowhere"},
            "data set mnist: no train-images-idx3-ubyte in nowhere/MNIST/raw; put it there,",
        ),
        ({"dataset": "flat"}, "data set flat: train labels run from 0 to 8; with 2 classes"),
        ({"dataset": "empty"}, "data set empty: the train part is empty"),
        ({"dataset": "list"}, "data set list: its plugin mine (mine.py"),
        ({"validation": "own"}, "data set digits: validation own: the data set has no validation"),
        ({"subset": 5000}, "data set digits: subset 5000: the training part has only 1437 images"),
        (
            {"drop_last": True, "batch_size": 5000},
            "data set digits: drop_last with batch_size 5000",
        ),
        (
            {"model": "fixed"},
            "model fixed: the optimiser cannot be made of its parameters: ValueError: ",
        ),
        (
            {"model": "mlp", "model.batch_norm": True, "batch_size": 4},
            "batch_size 4 leaves a last batch of one image, which batch normalisation cannot",
        ),
        ({"device": "cuda:99"}, "device cuda:99 is not here; there are: "),
    ],
)
def test_what_is_wrong_is_one_line_before_a_run_is_opened(
    store: str, tmp_path: Path, given: dict[str, object], message: str
) -> None:
    path = plugin(tmp_path, FAILING_MODEL + BAD_DATA)
    with pytest.raises(MlrunError) as caught:
        mlrun.train({"visualisers": "none", "plugin": path, **given})
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert MlflowClient().search_runs(["0"]) == []


def test_a_run_that_mlflow_run_opened_is_told_why_nothing_was_started(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = MlflowClient().create_run("0").info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", waiting)
    with pytest.raises(MlrunError):
        mlrun.train({"model": "lent"})
    run = only_run()
    assert run.info.status == "FAILED"
    assert run.data.tags["mlrun.reason"].startswith("unknown model lent; did you mean lenet?")


def test_a_model_that_exits_ends_the_run_as_failed(store: str, tmp_path: Path) -> None:
    settings = {**QUICK, "model": "leaves", "plugin": plugin(tmp_path, FAILING_MODEL)}
    del settings["model.widths"]
    with pytest.raises(RunFailed, match="failed: SystemExit: 3"):
        mlrun.train(settings)
    assert only_run().info.status == "FAILED"


def test_a_validation_loss_that_is_no_number_ends_the_run_as_failed(store: str) -> None:
    settings = {"model": "logistic", "optimiser": "sgd", "lr": 1e38, "batch_size": 2000}
    with pytest.raises(RunFailed, match=r"the validation loss is (inf|nan) after epoch 1; try a"):
        mlrun.train({**without(QUICK, "model.widths"), **settings})
    assert only_run().info.status == "FAILED"


def test_broken_plugins_and_misspelt_restrictions_are_told_when_training(
    store: str, install: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import types

    install("bad", "import no_such_module")
    warned: list[str] = []
    silent = types.SimpleNamespace(
        note=lambda text: None, warn=warned.append, start=lambda *_: None,
        step=lambda *_: None, epoch=lambda *_: None, finish=lambda: None,
    )  # fmt: skip
    mlrun.train(QUICK, progress=silent)
    assert warned == [
        "plugin bad (bad) is broken: ModuleNotFoundError: No module named 'no_such_module'"
    ]


@pytest.mark.parametrize(
    ("sent", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_an_interrupted_run_is_killed_and_keeps_what_it_had(
    store: str, sent: signal.Signals, code: int, word: str
) -> None:
    command = [sys.executable, "-m", "mlrun", "train", "--epochs", "100000"]
    options = ["--visualisers", "none", "--log-model", "false", "--threads", "1"]
    process = subprocess.Popen(
        [*command, *options], stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("epoch 2/"):
            break
    process.send_signal(sent)
    time.sleep(0.02)
    process.send_signal(sent)  # as somebody impatient does; the run is ended all the same
    _, rest = process.communicate(timeout=60)
    assert process.returncode == code
    assert rest.splitlines()[-1] == f"Error: {word}"
    run = only_run()
    assert run.info.status == "KILLED"
    assert run.data.tags["mlrun.status"] == "KILLED"
    assert steps(run.info.run_id, "val/loss")[:3] == [0, 1, 2]
    assert "last.pt" in artifacts(run.info.run_id, "checkpoints")


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

        def start(self, epochs: int, steps: int, examples: int) -> None:
            self.calls.append(("start", epochs, steps, examples))

        def step(self, state: object, loss: object, hits: object) -> None:
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
        ("start", 1, 3, 1293),
        ("epoch", 0),
        "step",
        "step",
        "step",
        ("epoch", 1),
        "finish",
    ]
