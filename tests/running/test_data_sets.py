"""The data sets of a run: digested beside the training, and logged however it ends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from runs import QUICK, only_run, plugin, without

import mlrun
from mlrun.errors import MlrunError, RunFailed
from mlrun.finished.evaluate import EvaluationRequest, evaluate

ENDLESS = """
def endless(root):
    import torch
    images = torch.zeros(1, 1, 1024, 1024, dtype=torch.uint8).expand(10**6, -1, -1, -1)
    return mlrun.ImageData((images, torch.arange(10**6) % 2), ("a", "b"))

@mlrun.hookimpl
def register_datasets(register):
    register(endless)
"""

BROKEN = """
def broken(shape, classes):
    import torch

    class Broken(torch.nn.Linear):
        def forward(self, images):
            if len(images) > 2:
                raise ValueError("not today")
            return super().forward(images.flatten(1)[:, :1])

    return Broken(1, classes)

@mlrun.hookimpl
def register_models(register):
    register(broken)
"""

HALVES = """
def halves(root):
    import torch
    path, count = str(root / "pixels"), 8192
    images = torch.from_file(path, shared=True, size=count * 96 * 96, dtype=torch.uint8)
    images, labels = images.view(count, 1, 96, 96), torch.arange(count) % 2
    train = (images[:40].clone() // 255 * 255, labels[:40])
    return mlrun.ImageData(train, ("dark", "bright"), test=(images, labels))

@mlrun.hookimpl
def register_datasets(register):
    register(halves)
"""


def digests(run: object) -> dict[str, str]:
    return {i.dataset.name: i.dataset.digest for i in run.inputs.dataset_inputs}  # type: ignore[attr-defined]  # not in the type MLflow gives


def test_a_run_that_fails_at_once_has_its_data_sets_all_the_same(
    store: str, tmp_path: Path
) -> None:
    path = plugin(tmp_path, BROKEN)
    with pytest.raises(RunFailed, match="not today"):
        mlrun.train({**without(QUICK, "model.widths"), "model": "broken", "plugin": path})
    failed = digests(only_run())
    assert sorted(failed) == ["digits/test", "digits/train", "digits/val"]
    assert all(digest.startswith("sha256:") and len(digest) == 23 for digest in failed.values())
    whole = mlrun.train(QUICK)
    run = MlflowClient().get_run(whole.run_id)
    assert digests(run) == failed
    for part in ("val", "test"):
        expected = f"{part} of digits (digest {failed[f'digits/{part}']})"
        assert run.data.tags[f"mlrun.evaluation.{part}"] == expected


def test_a_run_of_an_older_version_is_compared_by_its_own_digest(store: str) -> None:
    run_id, tag = mlrun.train(QUICK).run_id, "mlrun.evaluation.test"
    client = MlflowClient()
    client.set_tag(run_id, tag, "test of digits (digest 117a2df28bfae588)")
    assert not evaluate(run_id, EvaluationRequest()).fresh
    client.set_tag(run_id, tag, "test of digits (digest 0123456789abcdef)")
    with pytest.raises(MlrunError, match=r"digits \(digest 117a2df28bfae588\); give this one"):
        evaluate(run_id, EvaluationRequest())


def test_the_figures_that_training_logged_remain_where_the_images_are_gone(
    store: str, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = home / "data" / "some.csv"
    table.parent.mkdir()
    rows = [f"{n % 2},{n % 251},{n % 7},0,0" for n in range(80)]
    table.write_text("\n".join(["label,a,b,c,d", *rows]))
    data = {"dataset": "csv", "dataset.train": "some.csv", "dataset.test": "some.csv"}
    run = mlrun.train({**QUICK, **data})
    table.unlink()
    found = evaluate(run.run_id, EvaluationRequest())
    assert (found.fresh, found.accuracy) == (False, run.metrics["test/accuracy"])
    assert caplog.messages[-1].startswith("whether its images are as they were cannot be told: ")


def test_the_end_of_a_run_that_fails_waits_only_so_long_for_digests(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlrun.running.session.PATIENCE", 0.1)
    path = plugin(tmp_path, ENDLESS + BROKEN)
    settings = {"model": "broken", "dataset": "endless", "plugin": path, "normalisation": "none"}
    with pytest.raises(RunFailed, match="not today"):
        mlrun.train({**settings, "validation": 0.5, "visualisers": "none", "threads": 1})
    run = only_run()
    assert run.inputs.dataset_inputs == []
    assert run.data.tags["mlrun.failed.log of the data sets"] == "GivenUpError: it took too long"


def test_images_that_changed_since_are_not_those_of_the_run(store: str, home: Path) -> None:
    pixels = np.zeros((8192, 96 * 96), np.uint8)
    pixels[1::2] = 255
    (home / "data").mkdir()
    pixels.tofile(home / "data" / "pixels")
    settings = {"model": "logistic", "dataset": "halves", "plugin": plugin(home, HALVES)}
    run = mlrun.train({**settings, "epochs": 1, "visualisers": "none", "log_model": False})
    assert run.metrics["test/accuracy"] == 1
    again = evaluate(run.run_id, EvaluationRequest())
    assert (again.fresh, again.accuracy) == (False, 1)
    pixels[41::2] = 0
    pixels.tofile(home / "data" / "pixels")
    with pytest.raises(MlrunError, match="has test of something else: test of halves"):
        evaluate(run.run_id, EvaluationRequest())
    found = evaluate(run.run_id, EvaluationRequest(name="black"))
    assert (found.fresh, found.accuracy) == (True, (4096 + 20) / 8192)
