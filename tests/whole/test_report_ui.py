"""The page of a run in a real browser: in MLflow's artifact view, and opened as a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from browsers import CHROMIUM, browser_page, check_slider, free_port, pixels, user_interface, watch
from mlflow_pages import known_pages
from playwright.sync_api import Frame, Page, expect
from runs import read

import mlrun

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
SETTINGS = {
    "model": "cnn",
    "model.channels": "4",
    "epochs": 2,
    "lr": 0.01,
    "log_model": False,
    "visualisers": "weights,feature-maps,confusion-matrix",
}


def check_page(page: Page | Frame) -> None:
    """Moves the slider, opens a cell of the confusion matrix, with mouse and keyboard."""
    keyboard = page.page.keyboard if isinstance(page, Frame) else page.keyboard
    slider = page.get_by_role("slider", name="Epoch")
    pictures = page.locator("#inside img")
    expect(pictures).to_have_count(3)  # conv1's weights and maps, and maps of its activation
    assert "epoch 2" in str(slider.get_attribute("aria-valuetext"))
    check_slider(slider, pictures, "weights-conv1, epoch 0")

    slider.evaluate("slider => slider.blur()")
    keyboard.press("ArrowRight")
    expect(pictures.first).to_have_attribute("alt", "weights-conv1, epoch 1")
    page.get_by_role("button", name="Enlarge weights-conv1").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading")).to_have_text("weights-conv1, epoch 1")
    keyboard.press("ArrowRight")
    expect(dialog.get_by_role("heading")).to_have_text("weights-conv1, epoch 2")
    keyboard.press("Escape")
    expect(dialog).to_be_hidden()

    cell = page.locator(".matrix .wrong:not([aria-disabled])").first
    count = int(cell.inner_text())
    cell.click()
    images = dialog.get_by_role("img")
    expect(images).to_have_count(min(24, count))
    expect(dialog.get_by_text("surest first")).to_be_visible()
    seen = pixels(images.first.screenshot())
    assert seen.max() - seen.min() > 100  # something is drawn
    keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(cell).to_be_focused()

    page.locator("[data-cell='0,0']").focus()
    keyboard.press("ArrowDown")
    keyboard.press("ArrowRight")
    expect(page.locator("[data-cell='1,1']")).to_be_focused()
    keyboard.press("Enter")
    expect(dialog.get_by_role("heading")).to_contain_text("1 recognised")
    keyboard.press("Escape")


@pytest.mark.slow
@known_pages
def test_the_report_works_in_mlflow_s_artifact_view(store: str, home: Path) -> None:
    run = mlrun.train(SETTINGS)
    assert run.failures == {}
    port = free_port()
    with user_interface(port), browser_page() as page:
        complaints, asked = watch(page)
        page.goto(run.link.replace(":5000/", f":{port}/") + "/artifacts/report.html")
        frame = page.locator("iframe").element_handle().content_frame()
        assert frame is not None
        expect(frame.get_by_role("heading", name=run.name)).to_be_visible()
        ours = len(complaints)
        check_page(frame)
        assert complaints[ours:] == []
        server = f"http://127.0.0.1:{port}/"
        assert [url for url in asked if not url.startswith((server, "data:", "blob:"))] == []


def test_the_report_works_as_a_file(store: str, home: Path) -> None:
    run = mlrun.train(SETTINGS)
    file = home / "report.html"
    file.write_bytes(read(run.run_id, "report.html"))
    with browser_page() as page:
        complaints, asked = watch(page)
        page.goto(file.as_uri())
        check_page(page)
        light = pixels(page.screenshot())
        page.get_by_role("button", name="Switch between light and dark").press("Enter")
        assert light.mean() > 200
        assert pixels(page.screenshot()).mean() < 110
        page.set_viewport_size({"width": 400, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") == 400
        chart = page.get_by_role("img", name="loss by epoch")
        chart.focus()
        chart.press("ArrowLeft")
        expect(page.locator(".readout").first).to_contain_text("epoch 2")
        assert complaints == []
        assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def test_a_sorted_column_of_the_table_by_class_is_in_order(store: str, home: Path) -> None:
    run = mlrun.train({**SETTINGS, "visualisers": "confusion-matrix"})
    file = home / "report.html"
    file.write_bytes(read(run.run_id, "report.html"))
    with browser_page() as page:
        page.goto(file.as_uri())
        page.get_by_role("button", name="recall").click()
        values = page.locator("#classes td:nth-child(3)").all_inner_texts()
        assert values == sorted(values, key=lambda text: float(text.removesuffix(" %")))
