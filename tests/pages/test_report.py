"""The page of a run: what it says against the run, what it keeps out, and how large it gets."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlrun_datasets.embedded import load_digits
from PIL import Image
from results import decoded, results
from runs import artifacts, logged, plugin, read
from sklearn.metrics import confusion_matrix

import mlrun
from mlrun.pages import stills
from mlrun.pages.account import Account, Thumbnails
from mlrun.pages.page import environment
from mlrun.pages.report import report
from mlrun.training.predictions import Predictions

RUN: dict[str, object] = {
    "model": "cnn",
    "model.channels": "4",
    "epochs": 2,
    "log_model": False,
    "visualisers": "weights,confusion-matrix",
}
LARGEST = 5_000_000  # bytes of the page of the default job


class Page(HTMLParser):
    """What a page has: its elements, and its text by the section that it stands in."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.texts: dict[str, str] = {}
        self.section = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "section":
            self.section = str(dict(attrs)["id"])
        if tag == "script":
            self.section = "script"
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.section == "script":
            self.scripts[-1] += data
        self.texts[self.section] = self.texts.get(self.section, "") + data

    @property
    def data(self) -> Any:
        return json.loads(self.scripts[0])


def account(**changes: object) -> Account:
    known = Account(
        run_id="0" * 32,
        name="a run",
        link="http://127.0.0.1:5000/#/experiments/0/runs/0",
        status="FINISHED",
        started=1_700_000_000_000,
        seconds=75.0,
        best_epoch=2,
        params={"lr": "0.1", "epochs": "5", "visualisers": "weights"},
        tags={},
        history={"val/accuracy": [(0, 0.1), (1, 0.5), (2, float("nan"))]},
        defaults={"lr": "0.001", "epochs": "5"},
    )
    return replace(known, **changes)  # type: ignore[arg-type]  # what a test gives


def drawings(folder: Path, keys: list[str], epochs: int, noise: int = 0) -> stills.Files:
    drawn = np.random.default_rng(0)
    files: dict[str, dict[int, Path]] = {}
    for key in keys:
        for epoch in range(epochs):
            image = np.full((120, 160, 3), epoch, np.uint8)
            image[:noise] = drawn.integers(0, 256, (noise, 160, 3))
            path = folder / f"{key}-{epoch}.png"
            Image.fromarray(image).save(path)
            files.setdefault(key, {})[epoch] = path
    return files


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


def test_what_a_stranger_named_is_text() -> None:
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    page = Page(
        report(
            account(
                name=evil,
                params={evil: evil},
                tags={"mlrun.reason": evil, "mlrun.device_name": evil},
                classes=(evil, "b", "c"),
                predictions=results(),
                failures={evil: evil},
                tables={evil: {evil: [evil, 1, None]}},
                history={f"val/{evil}": [(0, 1.0), (1, 2.0)]},
            )
        )
    )
    assert len(page.scripts) == 2
    assert [tag for tag, _ in page.elements if tag == "img"] == []
    assert not any(name.startswith("on") for _, found in page.elements for name in found)
    assert page.data["classes"][0] == evil
    assert "alert" not in page.scripts[1]


def test_the_page_asks_nobody() -> None:
    text = report(account(predictions=results(), classes=("a", "b", "c")))
    page = Page(text)
    addresses = re.findall(r"(?:https?:)?//[\w.:-]+", re.sub(r"data:image/[^\"]*", "", text))
    assert set(addresses) == {"http://127.0.0.1:5000", "http://www.w3.org"}  # the link; SVG's name
    policy = next(a["content"] for _, a in page.elements if a.get("http-equiv"))
    assert str(policy).startswith("default-src 'none'; img-src data:;")
    assert not {"link", "iframe", "object", "base", "form"} & {tag for tag, _ in page.elements}
    assert "eval(" not in page.scripts[1]
    assert "localStorage" not in page.scripts[1]


@pytest.mark.parametrize("status", ["KILLED", "FAILED", "RUNNING"])
def test_a_run_that_was_cut_short_has_a_page(status: str) -> None:
    told = account(status=status, best_epoch=None, history={}, seconds=None, started=0)
    page = Page(report(replace(told, tags={"mlrun.reason": "the light went out"})))
    assert status.lower() in page.texts[""]
    assert "the light went out" in page.texts[""]
    assert "nothing was tested" in page.texts[""]
    assert "No figures were logged" in page.texts["curves"]
    assert "No pictures were drawn" in page.texts["inside"]
    assert {"confusion", "losses", "classes", "calibration", "figures"}.isdisjoint(page.texts)


def test_figures_that_are_no_numbers_are_gaps() -> None:
    data = Page(report(account())).data
    points = data["charts"]["epoch/accuracy"]["series"][0]["points"]
    assert points == [[0, 0.1], [1, 0.5], [2, None]]


def test_a_rate_of_no_images_is_a_dash() -> None:
    labels = np.array([0, 0, 1])
    logits = np.eye(4, dtype=np.float32)[[0, 2, 1]]  # of the last two classes is no image
    predictions = Predictions("test", logits, labels, np.arange(3))
    text = report(account(predictions=predictions, classes=("a", "b", "c", "d"), history={}))
    rows = re.findall(r"<tr>\s*<td>([a-d])</td>(.*?)</tr>", text, re.DOTALL)
    cells = {name: re.findall(r"<td[^>]*>([^<]*)</td>", row) for name, row in rows}
    assert cells["a"] == ["100 %", "50.0 %", "66.7 %", "2"]
    assert cells["c"] == ["0.0 %", "–", "0.0 %", "0"]
    assert cells["d"] == ["–", "–", "–", "0"]
    assert 'aria-label="a taken for c: 1, 50.0 %"' in text
    assert 'aria-label="d taken for a: 0, –"' in text
    assert "nan" not in text.partition("<body>")[2].partition("<script")[0].lower()


def test_a_model_that_diverged_has_a_page_without_nan() -> None:
    logits = np.full((4, 2), np.nan, np.float32)
    predictions = Predictions("test", logits, np.array([0, 1, 0, 1]), np.arange(4))
    kept = Thumbnails(np.arange(4), np.zeros((4, 1, 8, 8), np.uint8))
    text = report(account(predictions=predictions, thumbnails=kept, classes=("a", "b")))
    page = Page(text)
    assert "The expected calibration error is –." in page.texts["calibration"]
    assert "nan" not in "".join(page.texts[name].lower() for name in page.texts if name != "script")
    assert page.data["images"]["rows"][0] == [0, 0, 0, None, None]


def test_settings_that_differ_come_first() -> None:
    text = Page(report(account())).texts["settings"]
    assert text.index("lr") < text.index("All others") < text.index("epochs")


def test_pictures_over_the_budget_are_thinned_evenly(tmp_path: Path) -> None:
    files = drawings(tmp_path, ["weights-a", "feature-maps-b"], 21, noise=60)
    size = sum(path.stat().st_size for held in files.values() for path in held.values())
    told = account(pictures=files, best_epoch=3)
    page = Page(report(told, budget=size // 4))
    kept = [epoch for epoch, _ in page.data["frames"]["weights-a"]]
    assert {0, 3, 20} <= set(kept)
    assert 5 <= len(kept) <= 6
    assert max(np.diff(kept)) <= 7
    assert f"{len(kept)} of 21 epochs are shown" in page.texts["inside"]
    whole = Page(report(told, budget=size))
    assert len(whole.data["frames"]["weights-a"]) == 21
    assert "epochs are shown" not in whole.texts["inside"]
    least = Page(report(told, budget=1)).data["frames"]["weights-a"]
    assert [epoch for epoch, _ in least] == [0, 3, 20]


def test_pictures_of_one_epoch_need_no_slider(tmp_path: Path) -> None:
    page = Page(report(account(pictures=drawings(tmp_path, ["weights-a"], 1))))
    assert not any("data-slider" in attributes for _, attributes in page.elements)
    assert "the only one that was drawn" in page.texts["inside"]


def test_robustness_is_drawn_with_its_intervals() -> None:
    table = {
        "change": ["rotate", "rotate", "blur"],
        "amount": [10, 0, 0],
        "accuracy": [0.8, 0.9, 0.9],
        "low": [0.7, 0.8, 0.8],
        "high": [0.85, 0.95, 0.95],
        "images": [100, 100, 100],
    }
    page = Page(report(account(tables={"robustness-table": table})))
    (line,) = page.data["charts"]["robustness/rotate"]["series"]
    assert line["points"] == [[0, 0.9], [10, 0.8]]
    assert line["band"] == [[0, 0.8, 0.95], [10, 0.7, 0.85]]
    assert "--visualisers" not in page.texts["robustness"]
    assert "--visualisers" in Page(report(account())).texts["robustness"]


@pytest.mark.parametrize("classes", [100, 1000])
def test_many_classes_have_a_map_and_a_list(classes: int) -> None:
    known = results(classes, 3000)
    text = report(account(predictions=known, classes=()))
    page = Page(text)
    assert not any("data-cell" in attributes for _, attributes in page.elements)
    assert any("data-map" in attributes for _, attributes in page.elements)
    assert sum(count for _, _, count in page.data["cells"]) == 3000
    assert len(text) < 1_000_000
