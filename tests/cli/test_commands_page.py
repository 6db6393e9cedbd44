"""docs/commands.md shows what the commands print."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from checkouts import ROOT
from PIL import Image
from sklearn.datasets import load_digits

PAGE = (ROOT / "docs" / "commands.md").read_text()
QUIET = ["--visualisers", "none", "--log-model", "false", "--quiet"]
FIRST, SECOND = "6a227f03", "0b78c444"  # the runs of the page


def shown() -> list[tuple[str, str]]:
    """Each command line with `$` of the page, and what it prints there."""
    blocks = re.findall(r"```\n(\$ .*?)```", PAGE, re.DOTALL)
    return [
        (command, output)
        for block in blocks
        for command, output in re.findall(
            r"^\$ mlrun (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE
        )
    ]


def masked(text: str) -> list[str]:
    """The lines of an output, sorted, without what differs from machine to machine."""
    text = re.sub(r"\b[0-9a-f]{8}(?:[0-9a-f]{24})?\b", "RUN", text)
    text = re.sub(r"\d+ (?:s|min|h)\b", "TIME", text)
    return sorted(re.sub(r"\d+(\.\d+)?", "0", " ".join(line.split())) for line in text.splitlines())


def test_the_page_shows_what_the_commands_print(
    store: str,
    home: Path,
    command: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    digits = load_digits()
    (home / "pictures").mkdir()
    for name, place in (("seven", 17), ("three", 13), ("two", 12)):
        pixels = (digits.images[place] * 255 / 16).round().astype(np.uint8)
        Image.fromarray(pixels).resize((64, 64)).save(f"pictures/{name}.png")
    Path("pictures/torn.png").write_bytes(b"\x89PNG")
    _, first, _ = command("train", "--recipe", "digits", *QUIET)
    (start,) = re.findall(r"^mlrun (train .*)$", PAGE, re.MULTILINE)
    _, second, stderr = command(*shlex.split(start.replace(FIRST, first.strip()[:8])), *QUIET)
    assert second, stderr
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TORCH_HOME", str(home / "torch"))
    commands = shown()
    names = {"runs", "evaluate", "predict", "compare", "report", "reproduce", "sync", "doctor"}
    assert {line.split()[0] for line, _ in commands} == names
    for line, output in commands:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
        ids = line.replace(FIRST, first.strip()[:8]).replace(SECOND, second.strip()[:8])
        args = shlex.split(ids)
        _, stdout, stderr = command(*args)
        assert masked(stdout + stderr) == masked(output), line
