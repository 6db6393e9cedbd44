"""The page that a run logs at its end."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from mlrun_datasets.embedded import load_digits
from PIL import Image
from report_page import Page
from results import decoded
from runs import artifacts, logged, plugin, read
from sklearn.metrics import confusion_matrix

import mlrun
from mlrun.pages.page import environment

RUN: dict[str, object] = {
    "model": "cnn",
    "model.channels": "4",
    "epochs": 2,
    "log_model": False,
    "visualisers": "weights,confusion-matrix",
}
LARGEST = 5_000_000  # bytes of the page of the default job


def test_a_run_logs_a_page_that_says_what_it_came_to(store: str) -> None:
    run = mlrun.train({**RUN, "run_name": "<script>alert(1)</script>", "lr": 0.01})
    assert run.failures == {}
    assert run.report_link == f"{run.link}/artifacts/report.html"
    text = read(run.run_id, "report.html").decode()
    page = Page(text)
    kept = np.load(io.BytesIO(read(run.run_id, "predictions/test.npz")))
    logits, labels = kept["logits"], kept["labels"]
    predicted = logits.argmax(1)

    cells = np.zeros((10, 10), np.int64)
    for true, taken, count in page.data["cells"]:
        cells[true, taken] = count
    np.testing.assert_array_equal(cells, confusion_matrix(labels, predicted))
    for tag, attributes in page.elements:
        if tag == "button" and "data-cell" in attributes:
            true, taken = map(int, str(attributes["data-cell"]).split(","))
            assert f"{true} taken for {taken}: {cells[true, taken]}," in str(
                attributes["aria-label"]
            )
    right = (predicted == labels).sum()
    assert f"{right:,}" in page.texts[""]
    assert f"{100 * right / len(labels):.2f} %" in page.texts[""]
    assert logged(run.run_id).data.params["model.channels"] in page.texts["settings"]

    history = dict(logged(run.run_id).data.metrics)
    (line,) = (
        line for line in page.data["charts"]["epoch/loss"]["series"] if line["name"] == "val"
    )
    assert line["points"][-1] == [2, pytest.approx(history["val/loss"])]
    assert [epoch for epoch, _ in page.data["frames"]["weights-conv1"]] == [0, 1, 2]
    assert "&lt;script&gt;alert(1)" in text
    assert "<script>alert" not in text
    small = np.load(io.BytesIO(read(run.run_id, "predictions/test-images.npz")))
    assert small["images"].shape == (len(small["places"]), 1, 8, 8)


def test_the_images_behind_a_cell_are_those_of_the_data_set(store: str) -> None:
    run = mlrun.train(RUN)
    page = Page(read(run.run_id, "report.html").decode())
    images = page.data["images"]
    sheet = decoded(images["sprite"])[..., 0]
    digits = load_digits().test
    assert digits is not None
    for number, (place, label, *_) in enumerate(images["rows"]):
        row, column = divmod(number, images["columns"])
        there = sheet[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8]
        np.testing.assert_array_equal(there, digits[0][place, 0].numpy())
        assert label == digits[1][place]


def test_pictures_are_the_ones_that_mlflow_has(store: str) -> None:
    run = mlrun.train(RUN)
    page = Page(read(run.run_id, "report.html").decode())
    for epoch, address in page.data["frames"]["weights-conv1"]:
        (name,) = (
            name
            for name in artifacts(run.run_id, "images")
            if name.startswith(f"weights-conv1+step+{epoch}+") and name.endswith(".png")
        )
        logged = np.asarray(
            Image.open(io.BytesIO(read(run.run_id, f"images/{name}"))).convert("RGB")
        )
        np.testing.assert_array_equal(decoded(address), logged)


def test_effect_of_report(store: str) -> None:
    none = {"predictions/test-images.npz", "report.html"}
    for change in ({"report": False}, {"visualisers": "none"}):
        run = mlrun.train({**RUN, **change, "epochs": 0})
        logged = {*artifacts(run.run_id), *artifacts(run.run_id, "predictions")}
        assert not {Path(name).name for name in none} & logged
        assert run.report_link == ""


def test_a_run_without_a_test_part_tells_of_the_validation_part(store: str, tmp_path: Path) -> None:
    code = """
import torch

@mlrun.hookimpl
def register_datasets(register):
    register(untested)

def untested(root):
    \"\"\"Half of them black.\"\"\"
    images = torch.zeros(200, 1, 8, 8, dtype=torch.uint8)
    images[::2] = 255
    return mlrun.ImageData(train=(images, torch.arange(200) % 2), classes=("white", "black"))
"""
    run = mlrun.train({**RUN, "dataset": "untested", "plugin": plugin(tmp_path, code)})
    assert run.failures == {}
    page = Page(read(run.run_id, "report.html").decode())
    assert "Validation accuracy" in page.texts[""]
    kept = np.load(io.BytesIO(read(run.run_id, "predictions/val.npz")))
    assert len(kept["labels"]) == 20
    assert logged(run.run_id).data.tags["mlrun.evaluation.val"].startswith("val of untested")
    assert "val-images.npz" in artifacts(run.run_id, "predictions")


def test_a_report_that_fails_costs_only_that(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment(), "loader", None)  # no template is found
    run = mlrun.train(RUN)
    assert "no loader" in run.failures["report"]
    assert "no loader" in logged(run.run_id).data.tags["mlrun.failed.report"]
    assert "Traceback" in read(run.run_id, "failures/report.txt").decode()
    assert logged(run.run_id).info.status == "FINISHED"


@pytest.mark.slow
def test_the_page_of_the_default_job_is_small(store: str) -> None:
    run = mlrun.train({"recipe": "digits", "epochs": 10, "log_model": False})
    content = read(run.run_id, "report.html")
    assert sum(len(frames) for frames in Page(content.decode()).data["frames"].values()) == 77
    assert len(content) < LARGEST
