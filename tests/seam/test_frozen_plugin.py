"""A plugin as it was written for mlrun 0.1 goes on working, not a letter of it changed.

`example_plugin_0_1` is a copy of the example plugin of that version. It is never edited.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from checkouts import ROOT
from runs import logged

import mlrun

FROZEN = ROOT / "tests" / "example_plugin_0_1"
FILES = ("mlrun_tiny.py", "stripes.py", "histograms.py")
SHA256 = "b0922e1b5ba110063119057b1c9e4fc9ee7807028974cdb6865695cf0bae8242"


def test_nobody_has_edited_it() -> None:
    sha = hashlib.sha256()
    for path in sorted(FROZEN.glob("*.*")):
        sha.update(path.read_bytes())
    assert sha.hexdigest() == SHA256


def test_its_model_data_set_and_visualiser_train_and_draw(store: str) -> None:
    done = mlrun.train(
        {
            "plugin": ",".join(str(FROZEN / name) for name in FILES),
            "model": "tiny-cnn",
            "model.width": 4,
            "dataset": "stripes",
            "dataset.size": 12,
            "visualisers": "histograms",
            "histograms.bins": 10,
            "epochs": 1,
            "log_model": False,
        }
    )
    assert done.failures == {}
    run = logged(done.run_id)
    assert run.data.tags["mlrun.model"].startswith("mlrun-tiny/tiny-cnn from mlrun-tiny")
    assert run.data.params["model.width"] == "4"
    images = Path(run.info.artifact_uri.removeprefix("file://")) / "images"
    assert {path.name.partition("+")[0] for path in images.iterdir()} == {
        "histograms-0.weight",
        "histograms-5.weight",
    }
