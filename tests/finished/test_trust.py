"""What a run or a recipe names is data: no file of theirs is executed unless the user says so."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from mlflow import MlflowClient
from PIL import Image
from runs import QUICK

import mlrun
from mlrun.errors import MlrunError
from mlrun.settings.plan import plan_of

Command = Callable[..., tuple[int, str, str]]
EVIL = "from pathlib import Path\nPath({marker!r}).write_text('executed')\n"
MODEL = """
import mlrun

def one_layer(shape, classes):
    from torch import nn
    return nn.Sequential(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], classes))

@mlrun.hookimpl
def register_models(register):
    register(one_layer)
"""
TRAINED = {"plugin": "mine.py", "model": "one-layer", "epochs": 1, "visualisers": "none"}


@pytest.fixture
def marker(home: Path) -> Path:
    """A file that is there once the evil plugin was executed."""
    Image.fromarray(np.zeros((8, 8), np.uint8)).save("zero.png")
    return home / "executed"


def artifacts_of(run_id: str) -> Path:
    return Path(MlflowClient().get_run(run_id).info.artifact_uri.removeprefix("file://"))


def best_checkpoint(run_id: str) -> Path:
    best = MlflowClient().get_run(run_id).data.tags["mlrun.best_epoch"]
    return artifacts_of(run_id) / "checkpoints" / f"epoch-{best}.pt"


@pytest.mark.parametrize("path", ["~nobody-here/x.py", r"\\host\share\x.py"])
def test_a_plugin_that_is_not_known_is_not_looked_for(
    finished: str, marker: Path, command: Command, path: str
) -> None:
    file = artifacts_of(finished) / "settings.yaml"
    settings = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**settings, "plugin": [path]}))
    code, _, stderr = command("predict", finished, "zero.png")
    assert (code, "which was not run on this machine" in stderr) == (2, True)


@pytest.mark.parametrize("place", ["elsewhere", "artifact"])
def test_a_plugin_that_somebody_s_run_names_is_not_executed(
    finished: str, home: Path, marker: Path, command: Command, place: str
) -> None:
    folder = home if place == "elsewhere" else artifacts_of(finished)
    (folder / "evil.py").write_text(EVIL.format(marker=str(marker)))
    path = artifacts_of(finished) / "settings.yaml"
    settings = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**settings, "plugin": [str(folder / "evil.py")]}))
    MlflowClient().set_tag(finished, "mlrun.plugin_file.evil.py", "0123abcd")
    assert command("report", finished, "--output", "page.html")[0] == 0
    assert command("compare", finished, "--last", "1")[0] == 2  # one run: but it was read
    for args in (["predict", finished, "zero.png"], ["evaluate", finished, "--rotate", "5"]):
        code, _, stderr = command(*args)
        assert code == 2
        assert (
            f"run {finished} names the plugin file {folder / 'evil.py'} (sha256 0123abcd)" in stderr
        )
        assert f"--plugin {folder / 'evil.py'}" in stderr
    assert not marker.exists()


def test_a_file_that_was_run_here_is_trusted_as_it_was_and_any_that_is_named(
    store: str, home: Path, marker: Path, command: Command
) -> None:
    (home / "mine.py").write_text(MODEL)
    run_id = mlrun.train({**TRAINED, "log_model": False}).run_id
    assert command("predict", run_id, "zero.png")[0] == 0
    (home / "mine.py").write_text(MODEL + EVIL.format(marker=str(marker)))
    code, _, stderr = command("predict", run_id, "zero.png")
    assert (code, marker.exists()) == (2, False)
    assert "was not run on this machine as it is now" in stderr
    (home / "kept").mkdir()
    (home / "kept" / "mine.py").write_text(MODEL)
    assert command("predict", run_id, "zero.png", "--plugin", "kept/mine.py")[0] == 0
    assert not marker.exists()


def test_a_recipe_s_plugin_lies_beside_it_or_is_named(home: Path, marker: Path) -> None:
    (home / "theirs").mkdir()
    (home / "mine.py").write_text(MODEL)
    (home / "evil.py").write_text(EVIL.format(marker=str(marker)))
    (home / "beside.yaml").write_text("plugin: mine.py\nmodel: one-layer\n")
    (home / "theirs" / "evil.yaml").write_text(f"plugin: {home / 'evil.py'}\n")
    (home / "theirs" / "model.yaml").write_text(f"plugin: {home / 'mine.py'}\nmodel: one-layer\n")
    assert plan_of({"recipe": "beside.yaml"}).model.component.name == "one-layer"
    with pytest.raises(MlrunError, match=r"recipe theirs/evil.yaml: plugin .* does not lie beside"):
        plan_of({"recipe": "theirs/evil.yaml"})
    assert not marker.exists()
    (home / "theirs" / "loop.py").symlink_to("loop.py")
    (home / "theirs" / "away.py").symlink_to(home / "evil.py")
    for name, reason in (
        ("loop", "it is a link that leads to its"),
        ("away", "does not lie beside"),
    ):
        (home / "theirs" / f"{name}.yaml").write_text(f"plugin: {name}.py\n")
        with pytest.raises(MlrunError, match=rf"recipe theirs/{name}.yaml: .*{name}.py.* {reason}"):
            plan_of({"recipe": f"theirs/{name}.yaml"})
    assert not marker.exists()
    (home / "theirs" / "own.py").write_text(MODEL.replace("one_layer", "own_layer"))
    (home / "theirs" / "own.yaml").write_text("plugin: own.py\nmodel: own-layer\n")
    for recipe in ("theirs/own.yaml", str(home / "theirs" / "own.yaml")):
        assert plan_of({"recipe": recipe}).model.component.name == "own-layer"
    named = {"recipe": "theirs/model.yaml", "plugin": "mine.py"}
    assert plan_of(named).model.component.name == "one-layer"


@pytest.mark.parametrize("what", ["weights", "normalisation"])
def test_a_checkpoint_that_was_changed_is_not_used(
    finished: str, marker: Path, command: Command, what: str
) -> None:
    path = best_checkpoint(finished)
    content = torch.load(path, weights_only=True)
    if what == "weights":
        next(iter(content["model"].values())).view(torch.uint8)[..., 0] ^= 1
    else:
        content["mean"][0] += 1e-6
    torch.save(content, path)
    for args in (["predict", finished, "zero.png"], ["evaluate", finished, "--rotate", "5"]):
        code, _, stderr = command(*args)
        assert code == 2
        assert f"run {finished}: its checkpoint {path.name} cannot be read" in stderr
        assert "its SHA-256 is another" in stderr
    with pytest.raises(MlrunError, match="its SHA-256 is another"):
        mlrun.train({"model": "cnn", "init_from": finished, "epochs": 0})


def test_a_checkpoint_of_an_older_run_has_no_digest_and_is_read(
    finished: str, marker: Path, command: Command
) -> None:
    path = best_checkpoint(finished)
    content = torch.load(path, weights_only=True)
    del content["sha256"]
    torch.save(content, path)
    assert command("predict", finished, "zero.png")[0] == 0


@pytest.mark.parametrize("text", ["../../x", "-1", "9" * 5000, ""])
def test_a_best_epoch_that_is_no_number_costs_that_run_alone(
    finished: str, marker: Path, command: Command, text: str
) -> None:
    MlflowClient().set_tag(finished, "mlrun.best_epoch", text)
    code, stdout, _ = command("runs")
    assert (code, finished in stdout) == (0, True)
    code, _, stderr = command("predict", finished, "zero.png")
    assert code == 2
    assert f"run {finished} has no checkpoints (its tag mlrun.best_epoch names no epoch)" in stderr


SQUARES = {"dataset": "image-folder", "dataset.size": 8, "dataset.channels": 1}


@pytest.fixture
def squares(store: str, home: Path) -> Path:
    """A folder of images outside the data folder, of two classes."""
    folder = home.parent / "some pictures"
    for number in range(24):
        path = folder / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), 9 * number, np.uint8)).save(path)
    return folder


def moved_here(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Makes this another machine, which has started none of the runs in the store."""
    monkeypatch.setenv("MLRUN_HOME", str(home.parent / "another state"))


def test_a_data_set_s_path_is_opened_where_its_run_was_started_or_if_it_is_named(
    squares: Path, home: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    settings = {**SQUARES, "dataset.path": str(squares), "model": "logistic", "epochs": 1}
    run_id = mlrun.train({**settings, "visualisers": "none", "log_model": False}).run_id
    evaluate = ["evaluate", run_id, "--part", "val"]
    assert command(*evaluate, "--noise", "0.1")[0] == 0
    moved_here(monkeypatch, home)
    code, _, stderr = command(*evaluate, "--noise", "0.2")
    assert code == 2
    assert (
        f"run {run_id} was not started on this machine and names dataset.path {squares}, which is "
        f"not opened; if you trust it, name it: --dataset.path '{squares}'" in stderr
    )
    named = command(*evaluate, "--noise", "0.2", "--dataset.path", str(squares))
    assert (named[0], named[1].partition(":")[0]) == (0, "val-noised-0.2")  # its own data set


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", r"\\host\share\x", "~/.ssh", ".."])
def test_no_path_that_somebody_s_run_names_is_opened(
    squares: Path, home: Path, finished: str, path: str, command: Command
) -> None:
    file = artifacts_of(finished) / "settings.yaml"
    settings = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**settings, "dataset": "csv", "dataset.train": path}))
    for args in (["--part", "train"], ["--noise", "0.1"]):
        code, _, stderr = command("evaluate", finished, *args)
        assert code == 2
        assert f"run {finished} was not started on this machine and names dataset.train" in stderr
        assert path in stderr
    assert command("report", finished, "--output", "page.html")[0] == 0
    Image.new("L", (8, 8)).save("zero.png")
    assert command("predict", finished, "zero.png")[0] == 0  # which needs no data set


def test_a_pipe_that_somebody_s_run_names_does_not_hang(
    finished: str, home: Path, command: Command
) -> None:
    os.mkfifo(home / "pipe")
    file = artifacts_of(finished) / "settings.yaml"
    model = {"model": "torchvision", "model.arch": "resnet18", "model.weights": str(home / "pipe")}
    settings = {
        name: value
        for name, value in yaml.safe_load(file.read_text()).items()
        if not name.startswith("model")
    }
    file.write_text(yaml.safe_dump({**settings, **model}))
    Image.new("L", (8, 8)).save("zero.png")
    for args in (["predict", finished, "zero.png"], ["evaluate", finished, "--noise", "0.1"]):
        code, _, stderr = command(*args)
        assert code == 2
        assert f"names model.weights {home / 'pipe'}, which is not opened" in stderr
        assert f"--model.weights {home / 'pipe'}" in stderr


def test_somebody_s_data_folder_is_not_opened_and_the_default_one_is(
    finished: str, home: Path, command: Command
) -> None:
    file = artifacts_of(finished) / "settings.yaml"
    settings = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**settings, "data_dir": "/srv/data"}))
    code, _, stderr = command("evaluate", finished, "--noise", "0.1")
    assert code == 0  # its data set needs no file
    assert (
        f"run {finished} was not started on this machine: its data folder /srv/data is not "
        "opened, but data is; if you trust it, name it: --data-dir /srv/data" in stderr
    )
    named = command("evaluate", finished, "--noise", "0.2", "--data-dir", "/srv/data")
    assert (named[0], "is not opened" in named[2]) == (0, False)


FETCHED = """
import mlrun

def fetched(root, *, download: bool = False):
    import torch
    from pathlib import Path

    if download:
        Path("fetched").write_text("over the network")
    images = (torch.arange(2560) % 251).to(torch.uint8).view(40, 1, 8, 8)
    part = mlrun.Part(images, torch.arange(40) % 2)
    return mlrun.ImageData(part, ("a", "b"), test=mlrun.Part(*(tensor[:10] for tensor in part)))

@mlrun.hookimpl
def register_datasets(register):
    register(fetched)
"""


def test_nothing_is_fetched_because_somebody_s_run_asks_for_it(
    store: str, home: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    (home / "mine.py").write_text(FETCHED)
    settings = {"plugin": "mine.py", "dataset": "fetched", "dataset.download": True, "epochs": 1}
    run_id = mlrun.train({**settings, **QUICK}).run_id
    marker = home / "fetched"
    marker.unlink()
    assert command("evaluate", run_id, "--noise", "0.1")[0] == 0
    assert marker.exists()  # the user asked for it, here
    marker.unlink()
    moved_here(monkeypatch, home)
    for args in (["evaluate", run_id, "--noise", "0.2"], ["reproduce", run_id, "--quiet"]):
        assert command(*args, "--plugin", "mine.py")[0] == 0
        assert not marker.exists()
    assert (
        command(
            "evaluate",
            run_id,
            "--noise",
            "0.3",
            "--plugin",
            "mine.py",
            "--dataset.download",
            "true",
        )[0]
        == 0
    )
    assert marker.exists()


def test_a_model_that_fails_on_images_is_told_in_one_line(
    store: str, home: Path, marker: Path, command: Command
) -> None:
    (home / "mine.py").write_text(MODEL)
    run_id = mlrun.train({**TRAINED, "log_model": False}).run_id
    (home / "mine.py").write_text(MODEL.replace("nn.Flatten()", "nn.Flatten(5)"))
    for args in (["predict", run_id, "zero.png"], ["evaluate", run_id, "--noise", "0.1"]):
        code, stdout, stderr = command(*args, "--plugin", "mine.py")
        assert (code, stdout) == (2, "")
        reason = "model one-layer: the model failed on images (2, 1, 8, 8): IndexError"
        assert f"run {run_id}: {reason}" in stderr
