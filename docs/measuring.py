"""What the scripts that measure for the documentation share."""

from __future__ import annotations

import os
import platform
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path


@contextmanager
def own_store() -> Iterator[Path]:
    """Logs to a store in a temporary folder, which is the working directory meanwhile."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        os.environ["MLRUN_HOME"] = str(Path(folder, "home"))
        os.chdir(folder)
        try:
            yield Path(folder)
        finally:
            os.chdir(before)


def machine() -> str:
    """Returns what the figures were measured on."""
    return f"{os.cpu_count()} CPU cores ({platform.machine()}), torch {version('torch')}"


def fill(page: Path, content: str, mark: str = "measured") -> None:
    """Writes `content` into the marked place of a page."""
    text = re.sub(
        rf"<!-- {mark} -->\n.*?<!-- end -->",
        lambda _: f"<!-- {mark} -->\n{content}\n<!-- end -->",
        page.read_text(encoding="utf-8"),
        flags=re.DOTALL,
    )
    page.write_text(text, encoding="utf-8")
