"""The checkout whose tests these are, copies of it, and `mlflow run` on one of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
COPIED = ["MLproject", "conda.yaml", "requirements.txt", "pyproject.toml", "mlrun", "plugins",
          "recipes"]  # fmt: skip


def checkout(folder: Path) -> Path:
    """A copy of what `mlflow run` needs, outside the checkout that is installed here."""
    folder.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy(source, folder / name)
    return folder


def environment(**extra: str) -> dict[str, str]:
    return {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", **extra}


def mlflow_run(project: Path, *parameters: str) -> subprocess.CompletedProcess[str]:
    options = [word for parameter in parameters for word in ("-P", parameter)]
    return subprocess.run(
        [str(BIN / "mlflow"), "run", str(project), "--env-manager", "local", *options],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
