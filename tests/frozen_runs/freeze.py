"""Trains two small runs and writes what MLflow has of each to a folder: `freeze.py VERSION`.

The folder beside this file bears the version of the settings (`mlrun.settings.versions.VERSION`).
It is made once, by the last commit of a version, and never edited: `tests/finished/
test_frozen_runs.py` puts it into a fresh store, and every later version must be able to read it.

    python tests/frozen_runs/freeze.py 2
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SHARED = {
    "dataset": "digits",
    "subset": "random:200",
    "validation": 0.2,
    "optimiser": "sgd",
    "momentum": 0.9,
    "lr": 0.05,
    "epochs": 2,
    "keep": 1,
    "log_model": False,
    "report": False,
    "test_variants": "rotate=25",
    "tags": "frozen=yes",
}
RUNS: dict[str, dict[str, object]] = {
    "cnn": {
        "model": "cnn",
        "model.channels": "2",
        "model.dropout": 0.1,
        "visualisers": "weights,confusion-matrix",
        "weights.cmap": "gray",
    },
    "mlp": {"model": "mlp", "model.widths": "4", "part_lrs": "fc1=0.01", "visualisers": "none"},
}


def freeze(version: str) -> None:
    """Writes the runs to the folder `version`: `NAME/run.json` and `NAME/artifacts/`."""
    from mlflow import MlflowClient

    import mlrun

    for name, settings in RUNS.items():
        folder = HERE / version / name
        shutil.rmtree(folder, ignore_errors=True)
        run_id = mlrun.train({**SHARED, **settings, "run_name": name}).run_id
        client = MlflowClient()
        folder.mkdir(parents=True)
        content = json.dumps(record(client, run_id), indent=1, ensure_ascii=False)
        (folder / "run.json").write_text(content + "\n", encoding="utf-8")
        client.download_artifacts(run_id, "", str(folder / "artifacts"))
        (folder / "artifacts" / "environment.txt").unlink()


def record(client: Any, run_id: str) -> dict[str, object]:
    """Returns the params, tags and metrics of a run, as plain values."""
    run = client.get_run(run_id)
    tags = {name: text for name, text in run.data.tags.items() if not is_of_the_place(name)}
    metrics = [
        [m.key, m.value, m.timestamp, m.step]
        for name in run.data.metrics
        for m in client.get_metric_history(run_id, name)
    ]
    return {
        "name": run.info.run_name,
        "status": run.info.status,
        "started": run.info.start_time,
        "ended": run.info.end_time,
        "params": dict(run.data.params),
        "tags": tags,
        "metrics": metrics,
    }


def is_of_the_place(tag: str) -> bool:
    """Whether a tag is MLflow's own, about where and by whom a run was started."""
    return tag.startswith(("mlflow.source", "mlflow.user", "mlflow.runName"))


if __name__ == "__main__":
    (version,) = sys.argv[1:]
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        os.environ |= {
            "MLRUN_HOME": str(Path(place, "state")),
            "MLFLOW_TRACKING_URI": f"sqlite:///{place}/mlflow.db",
        }
        freeze(version)
