"""Headless Chromium and MLflow's server, for the tests of pages."""

from __future__ import annotations

import io
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image
from playwright.sync_api import Locator, Page, expect, sync_playwright

CHROMIUM = next(
    filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None
)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
]


expect.set_options(timeout=60_000)  # milliseconds: a slow machine is no failure


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@contextmanager
def user_interface(port: str) -> Iterator[str]:
    """Starts `mlrun ui` and yields the link that it prints."""
    command = [sys.executable, "-m", "mlrun", "ui", "--no-open", "--port", port]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        yield server.stdout.readline().strip()
    finally:
        server.send_signal(signal.SIGTERM)
        _, errors = server.communicate(timeout=120)
    assert server.returncode == 143, errors


@contextmanager
def browser_page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1700, "height": 2600})
        page.set_default_timeout(60_000)
        yield page
        browser.close()


def pixels(shot: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"), np.int16)


def watch(page: Page) -> tuple[list[str], list[str]]:
    """Returns what the page complains of, and the addresses that it asks, as they come."""
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda note: complaints.append(note.text) if note.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    return complaints, asked


def check_slider(slider: Locator, pictures: Locator, first: str) -> None:
    """Moves the slider to the first epoch: the three pictures change; `first` is its alt there."""
    before = [pixels(pictures.nth(place).screenshot()) for place in range(3)]
    slider.press("Home")
    expect(pictures.first).to_have_attribute("alt", first)
    after = [pixels(pictures.nth(place).screenshot()) for place in range(3)]
    for old, new in zip(before, after, strict=True):
        assert old.shape == new.shape
        assert (np.abs(old - new).max(-1) > 12).mean() > 0.02  # of the picture has changed
