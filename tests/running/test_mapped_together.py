"""A data set that is mapped from a file is in memory once a host, however many processes train."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from data_files import drawn, write_image
from several import command
from waiting import until

SIDE, COUNT = 256, 64
BYTES = SIDE * SIDE * 3 * COUNT  # 12.6 MB
SETTINGS: dict[str, object] = {
    "dataset": "image-folder",
    "dataset.path": "tree",
    "dataset.size": SIDE,
    "data-dir": ".",
    "model": "logistic",
    "batch-size": 16,
    "epochs": 1_000_000,
    "visualisers": "none",
    "report": "false",
}


def pages(process: psutil.Process) -> dict[str, int]:
    """The bytes of decoded images that a process has mapped and used: all, its share, its own."""
    found = {"rss": 0, "pss": 0, "private": 0}
    for mapped in process.memory_maps(grouped=False):
        if "/cache/image-folder/" in mapped.path:
            found["rss"] += mapped.rss
            found["pss"] += mapped.pss
            found["private"] += mapped.private_clean + mapped.private_dirty
    return found


def training(launcher: psutil.Process) -> list[dict[str, int]]:
    """The pages of the processes that have used nearly all images."""
    found = []
    for process in launcher.children():
        try:
            own = pages(process)
        except psutil.Error:  # it is being started
            continue
        if own["rss"] > 0.9 * BYTES:
            found.append(own)
    return found


def shared(found: list[dict[str, int]]) -> list[dict[str, int]]:
    """What two processes have, once the images are there once: one may be still at mapping them."""
    once = sum(own["pss"] for own in found) < 1.1 * BYTES
    return found if once and len(found) == 2 else []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="what a process shares is told by Linux alone")
def test_processes_of_a_host_share_the_pages_of_decoded_images(store: str, home: Path) -> None:
    for number in range(COUNT):
        pixels = drawn(SIDE, SIDE, 3, seed=number)
        write_image(home / "tree" / "ab"[number % 2] / f"{number}.png", pixels)
    with (home / "said").open("wb") as said:
        process = subprocess.Popen(
            command(2, SETTINGS), stdout=said, stderr=said, start_new_session=True
        )
    with process:
        launcher = psutil.Process(process.pid)
        try:
            both = until(lambda: shared(training(launcher)), every=0.2)
        finally:
            for each in (*launcher.children(recursive=True), launcher):
                each.kill()
    assert all(own["private"] < 0.1 * BYTES for own in both)
    assert (home / "said").read_text().count("decoding 64 images") <= 1
