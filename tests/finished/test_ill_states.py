"""Saved states that a store brings: data, held to what a run saves before anything is done."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mlflow import MlflowClient
from runs import QUICK, Recorder, logged, steps

import mlrun
from mlrun.errors import MlrunError
from mlrun.finished.last_state import fetch, read_whole
from mlrun.record.folders import run_folder
from mlrun.record.logged import find_run
from mlrun.training.checkpoints import write
from mlrun.training.plain_files import read_plain
from mlrun.training.state import TrainingState
from mlrun.training.state_files import content_digest

DRAWN = {**QUICK, "visualisers": "weights", "epochs": 3, "checkpoint_every": "4 steps"}
State = dict[str, Any]


class Interrupts(Recorder):
    """Asks the run to end within its second epoch."""

    def step(self, state: TrainingState, tally: object) -> None:
        if state.step == 60:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def foreign(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Path]:
    """The id of an interrupted run of somebody else, and the file of its state in the store."""
    with pytest.raises(KeyboardInterrupt):
        mlrun.train(DRAWN, progress=Interrupts())
    run_id: str = MlflowClient().search_runs(["0"])[0].info.run_id
    monkeypatch.setenv("MLRUN_HOME", str(tmp_path / "ours"))
    uri = logged(run_id).info.artifact_uri.removeprefix("file://")
    return run_id, Path(uri, "checkpoints", "last.pt")


def put(path: Path, content: State) -> None:
    """Writes a state with the digest that belongs to it."""
    rest = {name: value for name, value in content.items() if name != "sha256"}
    write(path, {**rest, "sha256": content_digest(rest)})


def at(*place: str) -> Callable[[State, object], None]:
    def put_in(state: State, value: object) -> None:
        for name in place[:-1]:
            state = state[name]
        state[place[-1]] = value

    return put_in


PICTURES = ("callbacks", "DrawPictures", "pictures")
OUT = "../../../../out"
ILL: list[tuple[Callable[[State, object], None], object, str]] = [
    (at("callbacks"), None, "its callbacks: input should be a valid dictionary"),
    (at("callbacks"), {}, "its callbacks.SaveWeights: field required"),
    (at("callbacks", "SaveWeights", "ranking"), [(0.5, OUT)], "ranking.0.1: input should be a"),
    (at("callbacks", "SaveWeights", "ranking"), [(0.5, -1)], "ranking.0.1: input should be gre"),
    (at("callbacks", "SaveWeights", "ranking"), ["ab", 1], "ranking.0: input should be a valid t"),
    (at(*PICTURES), "none", "DrawPictures.pictures: input should be a valid dictionary"),
    (at(*PICTURES, "epochs"), {"weights": [OUT]}, "epochs.weights.0: input should be a valid int"),
    (at(*PICTURES, "keys"), 5, "pictures.keys: input should be a valid list"),
    (at("callbacks", "DrawPictures", "owners"), {"a": 3}, "owners.a: input should be a valid"),
    (at("callbacks", "DrawPictures", "kept"), {"weights": {"keys": {}, "values": {OUT: {}}}},
     "[key]: input should be a valid integer"),
    (at("epoch"), -5, "its epoch: input should be greater than or equal to 0"),
    (at("epoch"), 10**30, "its epoch: input should be less than"),
    (at("step"), 1.5, "its step: input should be a valid integer"),
    (at("seconds"), float("nan"), "its seconds: input should be"),
    (at("stopped"), 5, "its stopped: input should be a valid string"),
    (at("tally"), {"sizes": [3, 4], "losses": torch.zeros(1), "hits": torch.zeros(2)},
     "its tally.losses: expected 2 numbers, it is torch.float32 (1,)"),
    (at("cut"), {"sizes": [3]}, "its cut.losses: expected 1 numbers, it is not there"),
    (at("history", "lengths"), [10**9], "its history has"),
    (at("history", "values"), torch.zeros(3), "its history.values: expected"),
    (at("steps", "names"), [5], "its steps.names.0: input should be a valid string"),
    (at("model"), [1], "its model: input should be a valid dictionary"),
    (at("more"), torch.zeros(1).expand(10**13), "its tensors have 40,000,000,"),
]  # fmt: skip


def test_a_state_is_held_to_what_a_run_saves(foreign: tuple[str, Path], tmp_path: Path) -> None:
    _, path = foreign
    assert read_whole(path)["epoch"] == 1
    ill = tmp_path / "last.pt"
    for change, value, reason in ILL:
        state = read_plain(path)
        change(state, value)
        if isinstance(value, torch.Tensor) and value.numel() > 10**9:
            write(ill, state)
        else:
            put(ill, state)
        with pytest.raises(MlrunError) as caught:
            read_whole(ill)
        assert str(ill) in str(caught.value)
        assert reason in str(caught.value)


class Executed:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return Path.mkdir, (Path("executed"),)  # type: ignore[return-value]  # what pickle takes


def test_a_run_of_an_ill_state_begins_again_and_nothing_is_executed(
    foreign: tuple[str, Path], home: Path
) -> None:
    run_id, path = foreign
    torch.save({"model": Executed()}, path)
    told = Recorder()
    mlrun.resume(run_id, progress=told)
    (line,) = [line for line in told.lines if "last.pt" in line]
    assert line == (
        f"the state checkpoints/last.pt of run {run_id} in MLflow is damaged (it holds more than "
        "tensors and plain values, or is damaged)"
    )
    assert not (home / "executed").exists()
    assert steps(run_id, "val/loss") == [0, 1, 2, 3]


def test_weights_and_pictures_that_are_not_as_written_are_named_and_left_out(
    foreign: tuple[str, Path],
) -> None:
    run_id, path = foreign
    state = read_plain(path)
    weights = path.with_name("epoch-1.pt")
    content = read_plain(weights)
    content["model"]["out.bias"].fill_(float("nan"))
    write(weights, content)
    state["callbacks"]["DrawPictures"]["pictures"]["epochs"]["many"] = list(range(5000))
    put(path, state)
    told = Recorder()
    fetch(find_run(run_id), read_whole(path), told.warn)
    (line,) = told.lines
    assert line.startswith("neither here nor in MLflow as it was written: checkpoints/epoch-1.pt")
    assert line.endswith(" and 5000 more")
    assert [file.name for file in run_folder(run_id).glob("*.pt")] == []
