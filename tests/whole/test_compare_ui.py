"""The comparison of three runs in a real browser: as a file, and in MLflow's artifact view."""

from __future__ import annotations

from pathlib import Path

import pytest
from browsers import CHROMIUM, browser_page, check_slider, free_port, pixels, user_interface, watch
from mlflow_pages import known_pages
from playwright.sync_api import Frame, Page, expect

import mlrun
from mlrun.finished.compare import Comparison, compare

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
SETTINGS = {
    "model": "cnn",
    "model.channels": "4",
    "log_model": False,
    "visualisers": "weights",
}


def check_page(page: Page | Frame) -> None:
    """Moves the slider, hides a run, asks about a pair, with mouse and keyboard."""
    keyboard = page.page.keyboard if isinstance(page, Frame) else page.keyboard
    expect(page.get_by_role("heading", level=1)).to_have_text("Comparison of 3 runs")
    assert page.locator("#curves svg path.line").count() >= 2 * 4  # a group of two, and one run

    slider = page.get_by_role("slider", name="Epoch")
    pictures = page.locator("#pictures img")
    expect(pictures).to_have_count(3)
    check_slider(slider, pictures, "weights-conv1, lr 0.01, seed 0, epoch 0")
    slider.press("End")
    expect(pictures.nth(2)).to_have_attribute("alt", "weights-conv1, lr 0.001, epoch 1")
    expect(page.get_by_text("drawn at epoch 1")).to_be_visible()  # that run ended there
    page.locator("[data-toggle]").first.click()
    expect(pictures.first).to_be_hidden()
    expect(pictures.nth(1)).to_be_visible()

    page.get_by_role("button", name="each run").click()
    expect(page.locator("#curves figure").first.locator("path.line")).to_have_count(3)
    page.get_by_role("button", name="test accuracy").click()
    expect(page.get_by_role("columnheader", name="test accuracy")).to_have_attribute(
        "aria-sort", "ascending"
    )

    cells = page.locator(".matrix button")
    expect(cells).to_have_count(6)
    cells.nth(1).click()  # the first run against the last
    verdict = page.locator("#verdict")
    sentence = str(cells.nth(1).get_attribute("aria-label"))
    assert "lr 0.001" in sentence
    expect(verdict).to_have_text(sentence)
    expect(page.locator("#said")).to_have_text(sentence)
    keyboard.press("ArrowLeft")
    expect(verdict).to_have_text(str(cells.nth(0).get_attribute("aria-label")))

    sides = page.locator(".side")
    expect(sides).to_have_count(2)
    shown = sides.nth(0).locator("img").count() + sides.nth(1).locator("img").count()
    assert shown > 0
    thumbnail = pixels(page.locator(".side img").first.screenshot())
    assert thumbnail.max() - thumbnail.min() > 100  # something is drawn
    page.locator("#second").select_option(label="lr 0.01, seed 1")
    expect(page.locator("#said")).to_contain_text("lr 0.01, seed 1")


@pytest.fixture
def made(store: str) -> Comparison:
    """The comparison of three runs: two that differ in the seed, and one of one epoch."""
    different = [{"lr": 0.01, "seed": 0}, {"lr": 0.01, "seed": 1}, {"lr": 0.001, "epochs": 1}]
    runs = [mlrun.train({"epochs": 2, **SETTINGS, **some}) for some in different]
    return compare([run.run_id for run in runs])


def test_a_comparison_works_as_a_file(made: Comparison, home: Path) -> None:
    (home / "comparison.html").write_text(made.page)
    with browser_page() as page:
        complaints, asked = watch(page)
        page.goto((home / "comparison.html").as_uri())
        check_page(page)
        for width in (1400, 400):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") == width
        assert complaints == []
        assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


@pytest.mark.slow
@known_pages
def test_a_comparison_works_in_mlflow_s_artifact_view(made: Comparison, home: Path) -> None:
    link, port = made.log(), free_port()
    with user_interface(port), browser_page() as page:
        complaints, asked = watch(page)
        page.goto(link.replace(":5000/", f":{port}/"))
        frame = page.locator("iframe").element_handle().content_frame()
        assert frame is not None
        expect(frame.get_by_role("heading", level=1)).to_be_visible()
        ours = len(complaints)
        check_page(frame)
        assert complaints[ours:] == []
        server = f"http://127.0.0.1:{port}/"
        assert [url for url in asked if not url.startswith((server, "data:", "blob:"))] == []
