"""Runs whose images are mapped from a file that is damaged: they fail with a reason."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from data_files import load, write_tree
from runs import QUICK, Recorder, only_run

import mlrun
from mlrun.errors import MlrunError, RunFailed
from mlrun.finished.evaluate import EvaluationRequest, evaluate

FOLDERS = {**QUICK, "dataset": "image-folder", "dataset.path": "tree", "validation": 0.5}


@pytest.fixture
def settings(store: str, home: Path) -> dict[str, object]:
    """Of a run whose cache is there already."""
    for part in ("train", "test"):
        write_tree(home / "data" / "tree" / part)
    load("image-folder", home / "data", path="tree", cache=str(home / "cache"), size=8)
    return {**FOLDERS, "dataset.cache": str(home / "cache"), "dataset.size": "8"}


def images(home: Path) -> Path:
    (path,) = home.glob("cache/*/images")
    return path


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    with path.open("r+b") as file:
        file.write(content)


def cut(path: Path) -> None:
    os.truncate(path, 100)


def empty(path: Path) -> None:
    os.truncate(path, 0)


class Damaging(Recorder):
    """Damages a file when the first epoch has been trained."""

    def __init__(self, damage: Callable[[], None]) -> None:
        super().__init__()
        self.damage = damage

    def epoch(self, number: int, metrics: Mapping[str, float]) -> None:
        if number == 1:
            self.damage()


@pytest.mark.parametrize("damage", [flip, cut, empty])
def test_a_file_damaged_while_a_run_reads_it_fails_the_run(
    damage: Callable[[Path], None], settings: dict[str, object], home: Path
) -> None:
    path = images(home)
    progress = Damaging(lambda: damage(path))
    with pytest.raises(RunFailed) as failed:
        mlrun.train({**settings, "epochs": 3}, progress=progress)
    run = only_run()
    assert run.info.status == "FAILED"
    reason = run.data.tags["mlrun.reason"]
    assert str(failed.value) == f"run {run.info.run_id} failed: {reason}"
    assert reason.startswith(f"the file of images {path} ")
    assert reason.endswith("it has been removed: start again, and it is made anew")
    assert "test/accuracy" not in run.data.metrics
    again = mlrun.train(settings)
    assert again.metrics["test/accuracy"] is not None
    assert images(home).stat().st_size > 100


@pytest.mark.parametrize("damage", [flip, cut])
def test_a_file_damaged_in_the_last_epoch_fails_the_run(
    damage: Callable[[Path], None], settings: dict[str, object], home: Path
) -> None:
    path = images(home)
    with pytest.raises(RunFailed, match="the file of images"):
        mlrun.train(settings, progress=Damaging(lambda: damage(path)))
    assert "test/accuracy" not in only_run().data.metrics


def test_a_large_file_is_compared_beside_the_training(
    settings: dict[str, object], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlrun_datasets.cache_on_disk.SMALL", 0)
    flip(images(home))
    with pytest.raises(RunFailed, match=r"is damaged: block 0 \(bytes 0 to 3,071\) is not as it"):
        mlrun.train(settings)
    assert only_run().info.status == "FAILED"
    mlrun.train(settings)


def test_runs_that_share_their_data_load_a_damaged_file_anew(
    settings: dict[str, object], home: Path
) -> None:
    with mlrun.shared_data():
        mlrun.train(settings)
        flip(images(home))
        with pytest.raises(RunFailed, match="is damaged: block 0"):
            mlrun.train(settings)
        mlrun.train(settings)


def test_an_evaluation_of_damaged_images_logs_nothing(
    settings: dict[str, object], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = mlrun.train(settings)
    monkeypatch.setattr("mlrun_datasets.cache_on_disk.SMALL", 0)
    flip(images(home))
    with pytest.raises(MlrunError, match="is damaged: block 0"):
        evaluate(run.run_id, EvaluationRequest(name="again"))
    assert evaluate(run.run_id, EvaluationRequest(name="again")).fresh
