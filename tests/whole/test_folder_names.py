"""Folders may have any name: the store, the state, files and pages lie where they should."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.mark.parametrize("name", ["my project", "100% sure", "naïve #1 猫"])
def test_the_default_store_is_a_file_in_the_folder(
    tmp_path: Path, empty_database: Path, name: str
) -> None:
    folder = tmp_path / "around" / name
    folder.mkdir(parents=True)
    shutil.copy(empty_database, folder)  # quicker than to make its tables
    with sqlite3.connect(folder / "mlflow.db") as database:
        location = [(folder / "mlruns/0").as_uri()]
        database.execute("UPDATE experiments SET artifact_location = ?", location)
    database.close()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(folder / "a zero.png")
    environment = {**os.environ, "MLRUN_HOME": str(folder / "the state")}
    environment.pop("MLFLOW_TRACKING_URI", None)

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "mlrun", *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    options = ["--model", "logistic", "--epochs", "1", "--visualisers", "weights", "--quiet"]
    run_id = run("train", *options, "--log-model", "false").strip()
    assert run_id in run("runs")
    assert run("predict", run_id, "a zero.png").splitlines()[1].startswith("a zero.png")
    run("report", run_id, "--output", "a page.html")
    assert [path.name for path in (tmp_path / "around").iterdir()] == [name]
    assert (folder / "a page.html").stat().st_size > 10_000
