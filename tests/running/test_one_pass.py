"""The test part goes through the model once, whatever is made of what it says."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from checkouts import ROOT
from data_files import load
from mlflow import MlflowClient

import mlrun
from mlrun.data.normalisation import Normalisation

WATCHING = ROOT / "benchmarks" / "peers" / "watching.py"


def test_figures_tables_predictions_pictures_and_report_come_from_one_pass(
    store: str, home: Path
) -> None:
    run = mlrun.train(
        {
            "plugin": str(WATCHING),
            "model": "watching",
            "epochs": 1,
            "normalisation": "none",
            "log_model": False,
            "visualisers": "confusion-matrix,misclassified,top-losses,calibration",
        }
    )
    assert run.failures == {}
    test = Normalisation((0.0,), (1.0,))(load("digits", home).parts["test"].images)
    size = test[0].numpy().nbytes
    seen = (home / "seen").read_bytes()
    passes = Counter(seen[start : start + size] for start in range(0, len(seen), size))
    images = Counter(image.numpy().tobytes() for image in test)
    assert {image: passes[image] for image in images} == dict(images)
    paths = {item.path for item in MlflowClient().list_artifacts(run.run_id)}
    assert {"report.html", "predictions", "figures", "tables"} <= paths
