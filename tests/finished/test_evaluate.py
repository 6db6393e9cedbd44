"""mlrun evaluate: a finished run's best weights on changed or other data."""

from __future__ import annotations

import io
import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mlflow import MlflowClient
from runs import OTHERS, history
from sklearn.datasets import load_digits

import mlrun
from mlrun.data.variants import Variant, apply
from mlrun.errors import MlrunError
from mlrun.finished.evaluate import EvaluationRequest, evaluate
from mlrun.machine.randomness import derive_seed

Command = Callable[..., tuple[int, str, str]]


def read(run_id: str, path: str) -> bytes:
    return Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=path)).read_bytes()


def forget_the_test(home: Path) -> None:
    """Takes the test part's figures out of the store, as if training had not got so far."""
    with sqlite3.connect(home / "mlflow.db") as database:
        for table in ("metrics", "latest_metrics"):
            database.execute(f"DELETE FROM {table} WHERE key LIKE 'test/%'")
    database.close()


def digits_to_test() -> tuple[torch.Tensor, torch.Tensor]:
    """Every fifth digit, raw: what the data set `digits` tests on."""
    digits = load_digits()
    raw = torch.tensor((digits.images[::5, None] * 255 / 16).round(), dtype=torch.float32)
    return raw, torch.tensor(digits.target[::5])


def by_hand(run_id: str, variant: Variant, seed: int) -> tuple[float, float]:
    """Loss and accuracy of the test part, from the checkpoint and torch's functions alone."""
    best = MlflowClient().get_run(run_id).data.tags["mlrun.best_epoch"]
    saved = torch.load(io.BytesIO(read(run_id, f"checkpoints/epoch-{best}.pt")), weights_only=True)
    w, (mean,), (std,) = saved["model"], saved["mean"], saved["std"]
    raw, labels = digits_to_test()
    images = (raw / 255 - mean) / std
    fill, unit = torch.tensor([[[-mean / std]]]), torch.tensor([[[1 / std]]])
    images = torch.cat(
        [
            apply(variant, batch, seed=derive_seed(seed, "variant", step), fill=fill, unit=unit)
            for step, batch in enumerate(images.split(256))
        ]
    )
    hidden = F.conv2d(images, w["conv1.weight"], w.get("conv1.bias"), padding="same")
    mean_of, var_of = w["norm1.running_mean"], w["norm1.running_var"]
    hidden = F.batch_norm(hidden, mean_of, var_of, w["norm1.weight"], w["norm1.bias"])
    hidden = F.max_pool2d(F.relu(hidden), 2)
    logits = F.linear(hidden.flatten(1), w["out.weight"], w["out.bias"])
    accuracy = (logits.argmax(1) == labels).double().mean().item()
    return F.cross_entropy(logits, labels).item(), accuracy


def test_without_options_it_is_the_test_that_training_made(finished: str) -> None:
    before = history(finished, "test/loss") + history(finished, "test/accuracy")
    found = evaluate(finished, EvaluationRequest())
    assert not found.fresh
    assert [found.loss, found.accuracy] == [value for _, value in before]
    assert history(finished, "test/loss") + history(finished, "test/accuracy") == before


def test_a_test_that_is_not_there_gives_what_training_gave(finished: str, home: Path) -> None:
    metrics = MlflowClient().get_run(finished).data.metrics
    kept = read(finished, "predictions/test.npz")
    forget_the_test(home)
    shutil.rmtree(next(home.glob("mlruns/0/*/artifacts/predictions")))
    found = evaluate(finished, EvaluationRequest())
    assert found.fresh
    assert (found.loss, found.accuracy) == (metrics["test/loss"], metrics["test/accuracy"])
    assert read(finished, "predictions/test.npz") == kept
    assert (found.loss, found.accuracy) == pytest.approx(by_hand(finished, Variant(), 0), abs=1e-6)


@pytest.mark.parametrize(
    ("variant", "seed", "name"),
    [
        (Variant(rotate=25), None, "test-rotated-25"),
        (Variant(noise=0.2), 7, "test-noised-0.2"),
        (Variant(blur=1, shift=2), None, "test-shifted-2-blurred-1"),
    ],
)
def test_figures_on_changed_images_are_those_of_plain_torch(
    finished: str, variant: Variant, seed: int | None, name: str
) -> None:
    found = evaluate(finished, EvaluationRequest(variant=variant, seed=seed))
    assert found.name == name
    loss, accuracy = by_hand(finished, variant, seed or 0)
    assert found.accuracy == pytest.approx(accuracy, abs=1e-9)
    assert found.loss == pytest.approx(loss, abs=1e-5)
    assert found.accuracy < MlflowClient().get_run(finished).data.metrics["test/accuracy"]


def test_the_figures_and_logits_are_logged_to_the_run_once(finished: str) -> None:
    rotated = EvaluationRequest(variant=Variant(rotate=25))
    found = evaluate(finished[:10], rotated)
    run = MlflowClient().get_run(finished)
    best = int(run.data.tags["mlrun.best_epoch"])
    assert found.fresh
    assert history(finished, "test-rotated-25/accuracy") == [(best, found.accuracy)]
    assert history(finished, "test-rotated-25/loss") == [(best, found.loss)]
    assert re.fullmatch(
        r"test of digits \(digest sha256:[0-9a-f]{16}\), rotated-25, seed 0",
        run.data.tags["mlrun.evaluation.test-rotated-25"],
    )
    assert (run.info.status, run.data.tags["mlrun.status"]) == ("FINISHED", "FINISHED")
    with np.load(io.BytesIO(read(finished, "predictions/test-rotated-25.npz"))) as kept:
        logits, labels = torch.tensor(kept["logits"]), torch.tensor(kept["labels"])
    assert (logits.argmax(1) == labels).double().mean().item() == found.accuracy
    assert F.cross_entropy(logits, labels).item() == pytest.approx(found.loss, abs=1e-6)

    again = evaluate(finished, rotated)
    assert (again.fresh, again.loss, again.accuracy) == (False, found.loss, found.accuracy)
    assert len(history(finished, "test-rotated-25/accuracy")) == 1
    assert MlflowClient().get_run(finished).info.end_time == run.info.end_time


def test_the_same_draws_give_the_same_numbers_and_others_need_a_name(finished: str) -> None:
    rotated = Variant(rotate=40)
    first, second, other = (
        evaluate(finished, EvaluationRequest(variant=rotated, name=name, seed=seed))
        for name, seed in (("first", None), ("猫", 0), ("other", 1))
    )
    assert (first.loss, first.accuracy) == (second.loss, second.accuracy)
    assert first.loss != other.loss
    with pytest.raises(MlrunError) as caught:
        evaluate(finished, EvaluationRequest(variant=rotated, name="first", seed=1))
    assert re.fullmatch(
        rf"run {finished} has first of something else: test of digits \(digest [\w:]+\), "
        r"rotated-40, seed 0; this is test of digits \(digest [\w:]+\), rotated-40, seed 1; "
        r"give this one a --name",
        str(caught.value),
    )


@pytest.mark.parametrize(("part", "name"), [("val", "val"), ("train", "train-best")])
def test_the_other_parts_are_split_as_the_run_split_them(
    finished: str, part: str, name: str
) -> None:
    found = evaluate(finished, EvaluationRequest(part=part))
    assert (found.name, found.fresh) == (name, part == "train")
    best = MlflowClient().get_run(finished).data.tags["mlrun.best_epoch"]
    if part == "val":
        assert (int(best), found.accuracy) in history(finished, "val/accuracy")
        evaluate(finished, EvaluationRequest(part="val", name="again"))
        assert history(finished, "again/loss") == [(int(best), found.loss)]
    else:
        with np.load(io.BytesIO(read(finished, "predictions/train-best.npz"))) as kept:
            assert len(kept["labels"]) == 1293


def test_another_data_set_with_the_same_classes(finished: str, home: Path) -> None:
    (home / "others.py").write_text(OTHERS)
    other = EvaluationRequest(dataset="others", plugins=(Path("others.py"),))
    found = evaluate(finished, other)
    assert (found.name, found.fresh) == ("test-others", True)
    with np.load(io.BytesIO(read(finished, "predictions/test-others.npz"))) as kept:
        assert kept["labels"].tolist() == [*range(10)] * 3
    assert not evaluate(finished, other).fresh


def test_the_command_prints_the_figures_and_says_when_they_were_there(
    finished: str, command: Command
) -> None:
    code, stdout, stderr = command("evaluate", finished, "--noise", "0.1")
    again = command("evaluate", finished, "--noise=0.1")
    assert code == 0
    figures = MlflowClient().get_run(finished).data.metrics
    loss, accuracy = (figures[f"test-noised-0.1/{what}"] for what in ("loss", "accuracy"))
    line = f"test-noised-0.1: loss {loss:.4f}, accuracy {accuracy:.4f}\n"
    assert stdout == line
    assert stderr == f"this run: http://127.0.0.1:5000/#/experiments/0/runs/{finished}\n"
    assert again == (0, line, f"test-noised-0.1/accuracy is there already\n{stderr}")


@pytest.mark.parametrize("settings", [{"precision": "bf16"}, {"ema": 0.9}])
def test_weights_are_evaluated_as_training_evaluated_them(
    store: str, home: Path, settings: dict[str, object]
) -> None:
    given = {"model": "mlp", "epochs": 2, "visualisers": "none", "log_model": False, **settings}
    run = mlrun.train(given)
    forget_the_test(home)
    found = evaluate(run.run_id, EvaluationRequest())
    assert found.fresh
    assert found.loss == run.metrics["test/loss"]
    assert found.accuracy == run.metrics["test/accuracy"]
