"""mlrun.train: what goes wrong, before a run is opened and after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from runs import QUICK, Recorder, artifacts, logged, only_run, plugin, read, steps, without

import mlrun
from mlrun.errors import MlrunError, RunFailed

FAILING_VISUALISER = """
def breaks(view):
    raise RuntimeError(f"no picture of epoch {view.epoch}")
@mlrun.hookimpl
def register_visualisers(register):
    register(breaks, when="epoch")
"""


def test_a_failing_visualiser_costs_its_picture_and_not_the_run(store: str, tmp_path: Path) -> None:
    told = Recorder()
    run = mlrun.train(
        {
            **QUICK,
            "visualisers": "breaks,learning-curves",
            "plugin": plugin(tmp_path, FAILING_VISUALISER),
        },
        progress=told,
    )
    at_once = "visualiser breaks failed at epoch 0: RuntimeError: no picture of epoch 0"
    assert told.lines.count(at_once) == 1
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
            "model lenet: cannot be built for images (1, 8, 8) and 10 classes: images "
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
            "model fixed: it has no parameter that is trained, and is not frozen; with epochs 0 it",
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
    with pytest.raises(RunFailed, match=r"failed: model leaves: .* \(SystemExit: 3\)"):
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


def test_a_run_that_is_opened_but_cannot_be_followed_ends_failed(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("mlrun.running.context.run_folder", broken)
    with pytest.raises(RunFailed, match="failed: OSError: no space left") as caught:
        mlrun.train(QUICK)
    run = only_run()
    assert caught.value.run_id == run.info.run_id
    assert run.info.status == "FAILED"
    assert run.data.tags["mlrun.reason"] == "OSError: no space left on device"


def test_a_callback_that_cannot_be_closed_costs_only_its_end(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(callback: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("mlrun.running.step_log.LogSteps.close", broken)
    done = mlrun.train({**QUICK, "log_every": 2})
    assert done.failures == {"end of LogSteps": "OSError: no space left on device"}
    assert only_run().info.status == "FINISHED"
    assert "epoch-1.pt" in artifacts(done.run_id, "checkpoints")
