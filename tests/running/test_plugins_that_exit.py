"""A plugin that would end the process is a plugin that fails: named, and never with exit code 0."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from runs import QUICK, Recorder, artifacts_of, logged, only_run, read

import mlrun
from mlrun.errors import MlrunError, contained
from mlrun.seam.registry import discover

Command = Callable[..., tuple[int, str, str]]
CODE = """
import math
import mlrun
import numpy as np
import torch
from torch import nn

class Stop(BaseException):
    pass

def end(where):
    if where == "PLACE":
        raise RAISED

end("import")

class Net(nn.Module):
    def __init__(self, shape, classes):
        super().__init__()
        self.layer, self.steps = nn.Linear(math.prod(shape), classes), 0

    def forward(self, images):
        end("forward")
        if self.training:
            end("training")
            self.steps += 1
        elif self.steps:
            end("epoch")
        return self.layer(images.flatten(1))

    def loss(self, outputs, labels):
        end("loss")
        return nn.functional.cross_entropy(outputs, labels)

    def parameter_groups(self, lr):
        end("parameters")
        return [{"params": list(self.parameters()), "lr": lr}]

def own(shape, classes):
    end("builder")
    return Net(shape, classes)

def drawn(root):
    end("loader")
    images = torch.arange(60 * 16).to(torch.uint8).view(60, 1, 4, 4)
    return mlrun.ImageData(mlrun.Part(images, torch.arange(60) % 3), ("a", "b", "c"))

def picture(view):
    end("visualiser")
    yield "one", np.zeros((4, 4, 3), np.uint8)
    end("later")

@mlrun.hookimpl
def register_models(register):
    end("hook")
    register(own)

@mlrun.hookimpl
def register_datasets(register):
    register(drawn)

@mlrun.hookimpl
def register_visualisers(register):
    register(picture, when="epoch")
"""
ENDS = {
    "KeyboardInterrupt": "KeyboardInterrupt",
    "SystemExit(0)": "SystemExit: 0",
    "SystemExit": "SystemExit",
    "Stop('enough')": "Stop: enough",
}


def written(tmp_path: Path, place: str, raised: str = "SystemExit(0)") -> str:
    path = tmp_path / "mine.py"
    path.write_text(CODE.replace("PLACE", place).replace("RAISED", raised))
    return str(path)


def train(command: Command, path: str, *more: str) -> tuple[int, str, str]:
    names = ("--model", "own", "--dataset", "drawn", "--visualisers", "picture")
    options = ("--epochs", "1", "--log-model", "false", "--quiet")
    return command("train", "--plugin", path, *names, *options, *more)


@pytest.mark.parametrize("raised", ENDS)
@pytest.mark.parametrize(
    ("place", "named"),
    [
        ("import", "--plugin {path}: a plugin"),
        ("hook", "--plugin {path}: a plugin"),
        ("loader", "data set drawn: a plugin"),
        ("builder", "model own: a plugin"),
    ],
)
def test_before_a_run_is_opened(
    store: str, tmp_path: Path, command: Command, place: str, named: str, raised: str
) -> None:
    path = written(tmp_path, place, raised)
    end = f"{named.format(path=path)} would end the process ({ENDS[raised]})"
    assert train(command, path) == (2, "", f"Error: {end}\n")
    assert not Path("mlruns").exists()


@pytest.mark.parametrize(
    ("place", "named"),
    [
        ("forward", "model own and data set drawn do not fit: the model failed on images (2, 1, 4"),
        ("loss", "model own and data set drawn do not fit: loss(outputs, labels): "),
        ("parameters", "the optimiser cannot be made of its parameters: "),
    ],
)
def test_when_a_model_is_tried(
    store: str, tmp_path: Path, command: Command, place: str, named: str
) -> None:
    code, out, err = train(command, written(tmp_path, place))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert named in err
    assert "a plugin would end the process (SystemExit: 0)" in err


def test_in_training_the_run_is_failed_and_the_model_named_in_one_line(
    store: str, tmp_path: Path, command: Command
) -> None:
    def told(end: str) -> str:
        return f"model own: a plugin would end the process ({end})"

    for raised, end in ENDS.items():
        code, out, err = train(command, written(tmp_path, "training", raised), "--experiment", end)
        assert (code, out) == (1, "")
        assert err.splitlines()[-1].endswith(f" failed: {told(end)}")
        assert err.count("\n") == 1
    client = MlflowClient()
    for end in ENDS.values():
        experiment = client.get_experiment_by_name(end).experiment_id
        (run,) = client.search_runs([experiment])
        assert run.info.status == "FAILED"
        assert run.data.tags["mlrun.reason"] == told(end)
        assert "mine.py" in read(run.info.run_id, "failure.txt").decode()


@pytest.mark.parametrize("raised", ["KeyboardInterrupt", "SystemExit(3)", "ValueError('ill')"])
def test_what_was_trained_until_an_evaluation_ended_it_is_not_lost(
    store: str, tmp_path: Path, command: Command, raised: str
) -> None:
    whole = train(command, written(tmp_path, "never"))[1].strip()
    path = written(tmp_path, "epoch", raised)
    code, _, err = train(command, path)
    assert (code, err.count(" failed: ")) == (1, 1)
    (run,) = MlflowClient().search_runs(["0"], "attributes.status = 'FAILED'")
    written(tmp_path, "never")
    code, out, err = command("resume", run.info.run_id, "--plugin", path)
    assert (code, out.strip()) == (0, run.info.run_id), err
    assert "goes on from within epoch 1, step 2" in err
    weights = [logged(one).data.tags["mlrun.weights_sha256"] for one in (whole, out.strip())]
    assert weights[0] == weights[1]


@pytest.mark.parametrize("place", ["visualiser", "later"])
def test_a_visualiser_costs_its_pictures_alone(
    store: str, tmp_path: Path, command: Command, place: str
) -> None:
    code, _, err = train(command, written(tmp_path, place))
    assert code == 0
    run = only_run()
    assert run.info.status == "FINISHED"
    reason = "at epoch 0: a plugin would end the process (SystemExit: 0)"
    assert run.data.tags["mlrun.failed.picture"] == reason
    assert f"visualiser picture failed {reason}" in err or reason in err
    assert (artifacts_of(run.info.run_id) / "failures/picture.txt").exists()


def test_an_installed_plugin_that_exits_is_a_broken_one(install: Callable[..., Path]) -> None:
    install("gone", "import sys; sys.exit(0)")
    install("left", "import mlrun\n@mlrun.hookimpl\ndef register_models(register):\n    quit(3)")
    assert {broken.plugin: broken.reason for broken in discover().broken} == {
        "gone": "a plugin would end the process (SystemExit: 0)",
        "left": "a plugin would end the process (SystemExit: 3)",
    }


def test_a_command_after_training_does_not_end_with_0(
    store: str, tmp_path: Path, command: Command
) -> None:
    code, run_id, _ = train(command, written(tmp_path, "never"), "--visualisers", "none")
    assert code == 0
    path = written(tmp_path, "forward")
    code, out, err = command(
        "evaluate", "--plugin", path, run_id.strip(), "--part", "val", "--rotate", "25"
    )
    assert (code, out) == (2, "")
    assert err.splitlines()[-1] == (
        f"Error: run {run_id.strip()}: model own: the model failed on images (2, 1, 4, 4): a "
        "plugin would end the process (SystemExit: 0)"
    )


SIGNAL = "__import__('signal').raise_signal(2) or ValueError('it went on')"


def test_an_interrupt_by_a_signal_stays_one(store: str, tmp_path: Path, command: Command) -> None:
    code, _, err = train(command, written(tmp_path, "builder", SIGNAL))
    assert (code, err.splitlines()[-1]) == (130, "Error: interrupted")


class Cancels(Recorder):
    """Raises what a caller's program may, at the end of an epoch."""

    def epoch(self, number: int, metrics: object) -> None:
        if number == 1:
            raise KeyboardInterrupt


def test_an_interrupt_of_the_callers_own_stays_one(store: str, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        mlrun.train({**QUICK, "epochs": 2}, progress=Cancels())
    assert only_run().data.tags["mlrun.status"] == "KILLED"


def test_the_library_raises_an_error_that_can_be_caught(store: str, tmp_path: Path) -> None:
    settings = {**QUICK, "plugin": written(tmp_path, "builder"), "model": "own"}
    del settings["model.widths"]
    with pytest.raises(MlrunError, match=r"^model own: a plugin would end the process"):
        mlrun.train(settings)


def test_only_what_is_no_error_is_turned_into_one() -> None:
    for passes in (ValueError("x"), KeyboardInterrupt(), MlrunError("x")):
        with pytest.raises(type(passes)) as caught, contained():
            raise passes
        assert caught.value is passes
    for turned in (SystemExit(3), asyncio.CancelledError(), GeneratorExit()):
        with (
            pytest.raises(MlrunError, match="a plugin would end the process") as failed,
            contained(),
        ):
            raise turned
        assert failed.value.__cause__ is turned
