"""The page of a run: what it says against the run, what it keeps out, and how large it gets."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from report_page import Page
from results import results

from mlrun.pages import stills
from mlrun.pages.account import Account, Thumbnails
from mlrun.pages.report import report
from mlrun.training.predictions import Predictions


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
