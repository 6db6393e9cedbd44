"""A run read back from MLflow: whatever became of it, with all that it logged."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric
from PIL import Image
from runs import QUICK, Recorder, logged, plugin, read

import mlrun
from mlrun.errors import MlrunError
from mlrun.finished.read import MOST_STEPS, read_account, spread
from mlrun.pages.account import Account
from mlrun.record.logged import find_run
from mlrun.record.pictures import encode, grid_events, grid_stem, key_and_step
from mlrun.record.tables import Table, read_table, table_events

Put = Callable[[str, str, bytes], None]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Logs a file to a run."""

    def put(run_id: str, path: str, content: bytes) -> None:
        folder, _, name = path.rpartition("/")
        (tmp_path / name).write_bytes(content)
        MlflowClient().log_artifact(run_id, str(tmp_path / name), folder or None)

    return put


def arrays(**named: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **named)
    return buffer.getvalue()


def account(run_id: str, folder: Path, **asked: object) -> Account:
    return read_account(find_run(run_id), folder, **asked)


NAMES = "weights,feature-maps,confusion-matrix,misclassified"


def test_all_that_a_finished_run_logged_is_read(store: str, tmp_path: Path) -> None:
    settings = {"model": "cnn", "model.channels": "4", "epochs": 2, "log_model": False}
    settings |= {"feature-maps.layers": "conv1,act1"}
    run = mlrun.train({**settings, "visualisers": NAMES})
    found = account(run.run_id, tmp_path)
    assert (found.name, found.link, found.status) == (run.name, run.link, "FINISHED")
    assert found.best_epoch == run.best_epoch
    info, data = logged(run.run_id).info, logged(run.run_id).data
    assert found.seconds == pytest.approx((info.end_time - info.start_time) / 1000)
    assert (found.params, found.tags) == (data.params, data.tags)
    assert [epoch for epoch, _ in found.history["val/loss"]] == [0, 1, 2]
    assert {name: pairs[-1][1] for name, pairs in found.history.items()} == data.metrics
    assert found.classes == tuple("0123456789")
    assert found.predictions is not None
    assert found.predictions.part == "test"
    assert found.evaluated_on.startswith("test of digits (digest ")
    assert found.predictions.accuracy == run.metrics["test/accuracy"]
    drawn = ["weights-conv1", "feature-maps-conv1", "feature-maps-act1"]  # in the run's order
    assert list(found.pictures) == drawn
    assert list(found.pictures["weights-conv1"]) == [0, 1, 2]
    for file in [*found.pictures["weights-conv1"].values(), *found.figures.values()]:
        Image.open(file).verify()
    assert list(found.figures) == ["confusion-matrix", "misclassified"]
    assert list(found.tables) == ["per-class"]  # the other one has images
    assert found.failures == {}


def test_names_of_pictures_come_back_and_all_other_files_are_none() -> None:
    for key in ("weights-conv1", "feature-maps-features.0+step+1", "a/b", "step+2"):
        stem = grid_stem("f" * 32, key, 12, 1_700_000_000_000)
        png, small, _ = grid_events(stem, b"", b"")
        folder, _, name = png.name.rpartition("/")
        assert folder == "images"
        assert key_and_step(name) == (key, 12)
        assert key_and_step(small.name.rpartition("/")[2]) is None
    assert key_and_step("confusion-matrix.png") is None


def test_a_picture_that_mlflow_itself_logged_is_read(finished: str, tmp_path: Path) -> None:
    MlflowClient().log_image(finished, np.zeros((8, 8, 3), np.uint8), key="mine", step=3)
    assert [list(epochs) for epochs in account(finished, tmp_path).pictures.values()] == [[3]]


@pytest.mark.parametrize(
    "table", [{"a": ["x", None, 1.5], "b": [True, 2, "y"]}, {"only": []}, {"one": [1]}]
)
def test_tables_come_back_as_they_were(table: Table) -> None:
    (event,) = table_events("mine", table)
    assert isinstance(event.value, bytes)
    assert read_table(event.value.decode()) == table


def test_a_table_with_images_is_none_and_what_is_no_table_says_so() -> None:
    events = table_events("mine", {"image": [np.zeros((4, 4, 3), np.uint8)]})
    assert isinstance(events[-1].value, bytes)
    assert read_table(events[-1].value.decode()) is None
    for content in ("{", "[]", '{"columns": ["a", "b"], "data": [[1]]}'):
        with pytest.raises(MlrunError, match="it is no table"):
            read_table(content)


def test_only_so_many_epochs_are_read_the_first_and_the_last_among_them(
    finished: str, tmp_path: Path, put: Put
) -> None:
    png = encode(np.zeros((8, 8, 3), np.uint8), "PNG")
    for epoch in range(10):
        for event in grid_events(grid_stem(finished, "maps", epoch, 0), png, b"webp")[:2]:
            assert isinstance(event.value, bytes)
            put(finished, event.name, event.value)
    assert list(account(finished, tmp_path, most_epochs=4).pictures["maps"]) == [0, 3, 6, 9]
    assert len(list((tmp_path / finished / "images").iterdir())) == 4
    assert list(account(finished, tmp_path).pictures["maps"]) == list(range(10))
    assert spread([1, 2], 2) == [1, 2]


def test_a_killed_run_is_read_as_far_as_it_came(store: str, home: Path, tmp_path: Path) -> None:
    class Interrupting(Recorder):
        def epoch(self, epoch: int, metrics: dict[str, float]) -> None:
            if epoch == 1:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mlrun.train({**QUICK, "epochs": 3}, progress=Interrupting())
    (run,) = MlflowClient().search_runs(["0"])
    found = account(run.info.run_id, tmp_path)
    assert found.status == "KILLED"
    assert [epoch for epoch, _ in found.history["val/loss"]] == [0, 1]
    assert (found.predictions, found.thumbnails, found.classes) == (None, None, ())
    assert (found.pictures, found.figures, found.tables) == ({}, {}, {})


def test_a_run_that_is_still_running_has_no_length(finished: str, tmp_path: Path, put: Put) -> None:
    client = MlflowClient()
    run_id: str = client.create_run("0").info.run_id
    client.set_tag(run_id, "mlrun.version", "0.1.0")
    put(run_id, "settings.yaml", read(finished, "settings.yaml"))
    found = account(run_id, tmp_path)
    assert (found.status, found.seconds, found.best_epoch) == ("RUNNING", None, None)
    assert (dict(found.params), found.history) == ({}, {})


def test_what_failed_without_stopping_the_run_is_told(store: str, tmp_path: Path) -> None:
    code = """
def broken(view):
    raise ValueError("no such luck")

@mlrun.hookimpl
def register_visualisers(register):
    register(broken)
"""
    file = plugin(tmp_path, code)
    run = mlrun.train({**QUICK, "visualisers": "broken", "plugin": file})
    assert account(run.run_id, tmp_path).failures == run.failures
    assert "no such luck" in run.failures["visualiser broken"]


def test_thumbnails_are_those_of_the_tested_part(finished: str, tmp_path: Path, put: Put) -> None:
    assert account(finished, tmp_path).thumbnails is None
    images = np.arange(2 * 16, dtype=np.uint8).reshape(2, 1, 4, 4)
    kept = arrays(places=np.array([3, 7]), images=images)
    put(finished, "predictions/val-images.npz", kept)
    assert account(finished, tmp_path).thumbnails is None
    put(finished, "predictions/test-images.npz", kept)
    found = account(finished, tmp_path).thumbnails
    assert found is not None
    assert found.places.tolist() == [3, 7]
    assert (found.images == images).all()


def test_the_validation_part_counts_where_there_is_no_test_part(
    finished: str, tmp_path: Path, put: Put
) -> None:
    client = MlflowClient()
    run_id: str = client.create_run("0").info.run_id
    client.set_tag(run_id, "mlrun.version", "0.1.0")
    put(run_id, "settings.yaml", read(finished, "settings.yaml"))
    kept = arrays(logits=np.eye(3, dtype=np.float32), labels=np.arange(3), indices=np.arange(3))
    put(run_id, "predictions/val.npz", kept)
    predictions = account(run_id, tmp_path).predictions
    assert predictions is not None
    assert (predictions.part, predictions.labels.tolist()) == ("val", [0, 1, 2])


def test_long_curves_by_step_are_thinned_or_left_out(finished: str, tmp_path: Path) -> None:
    client = MlflowClient()
    for start in range(0, 5000, 1000):
        rows = [Metric("step/loss", 1 / (1 + n), n, n) for n in range(start, start + 1000)]
        client.log_batch(finished, metrics=rows)
    client.log_metric(finished, "system/cpu", 5.0)
    client.log_metric(finished, "val/loss", 9.0, step=2, timestamp=int(time.time() * 1000) + 10**6)
    history = account(finished, tmp_path).history
    assert len(history["step/loss"]) == MOST_STEPS
    assert history["step/loss"][0] == (0, 1.0)
    assert history["step/loss"][-1] == (4999, 1 / 5000)
    assert history["val/loss"][-1] == (2, 9.0)  # the last that was logged
    assert "system/cpu" not in history
    assert "step/loss" not in account(finished, tmp_path, steps=False).history


def test_no_bar_of_each_download_is_drawn(
    finished: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    account(finished, tmp_path)
    assert "Downloading" not in capfd.readouterr().err
