"""What a user sees in MLflow's UI, in a real browser on a real server."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from browsers import CHROMIUM, browser_page, free_port, user_interface
from mlflow_pages import known_pages
from playwright.sync_api import expect

import mlrun


@pytest.mark.slow
@known_pages
@pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_printed_link_opens_curves_pictures_with_a_slider_and_tables(
    store: str, home: Path
) -> None:
    settings = {"model": "cnn", "model.channels": "4", "epochs": 2, "log_model": False}
    visualisers = {"visualisers": "weights,confusion-matrix,misclassified"}
    runs = [mlrun.train({**settings, **visualisers, "lr": lr}) for lr in (0.001, 0.01)]
    port = free_port()
    with user_interface(port) as link, browser_page() as page:
        assert link == runs[1].comparison_link.replace(":5000/", f":{port}/")
        page.goto(link)
        for run in runs:
            expect(page.get_by_role("link", name=run.name).first).to_be_visible()
        for name in ("val/accuracy", "val/loss", "train/loss", "test/accuracy"):
            expect(page.get_by_text(name, exact=True).first).to_be_visible()
        curves = page.locator(".scatterlayer .trace")
        expect(curves.first).to_be_attached()
        assert curves.count() >= 2 * 4  # two runs in each of the four charts above

        card = page.locator("[data-testid='experiment-view-compare-runs-card']").filter(
            has_text="weights-conv1"
        )
        pictures = card.locator("img")
        expect(pictures.first).to_be_visible()
        expect(pictures).to_have_count(2)
        picture, frame = pictures.first.bounding_box(), card.bounding_box()
        assert picture is not None
        assert frame is not None
        assert picture["height"] > 100
        assert picture["y"] + picture["height"] < frame["y"] + frame["height"]  # not scrolled away
        at_the_end = pictures.first.get_attribute("src")
        slider = card.get_by_role("slider")
        assert slider.get_attribute("aria-valuenow") == "2"
        slider.press("ArrowLeft")
        expect(slider).to_have_attribute("aria-valuenow", "1")
        expect(pictures.first).not_to_have_attribute("src", str(at_the_end))
        assert re.search(r"weights-conv1.*step.*1", str(pictures.first.get_attribute("src")))

        page.goto(runs[0].link.replace(":5000/", f":{port}/") + "/artifacts")
        page.get_by_text("figures", exact=True).click()
        page.get_by_text("confusion-matrix.png").click()
        figure = page.get_by_role("img", name="figures/confusion-matrix.png")
        expect(figure).to_be_visible()
        assert figure.evaluate("image => image.naturalWidth") > 400

        page.get_by_text("tables", exact=True).click()
        page.get_by_text("misclassified-table.json").click()
        for column in ("image", "true", "predicted", "probability", "index"):
            expect(page.get_by_text(column, exact=True).first).to_be_visible()
        thumbnail = page.locator("img[src*='1-1.png']")
        expect(thumbnail).to_be_visible()
        expect(thumbnail).to_have_js_property("naturalWidth", 96)


@pytest.mark.slow
def test_the_server_ends_when_the_command_is_killed(store: str) -> None:
    command = [sys.executable, "-m", "mlrun", "ui", "--no-open", "--port", free_port()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as ui:
        assert ui.stdout is not None
        assert ui.stdout.readline().startswith(b"http://127.0.0.1:")
        servers = psutil.Process(ui.pid).children(recursive=True)
        assert servers
        ui.kill()
        _, alive = psutil.wait_procs(servers, timeout=60)
    assert not alive
