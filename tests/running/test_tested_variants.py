"""The setting test_variants: what training tests besides is what an evaluation would log."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from runs import OTHERS, history, read

import mlrun
from mlrun.data.variants import Variant
from mlrun.errors import MlrunError
from mlrun.finished.evaluate import EvaluationRequest, evaluate

Command = Callable[..., tuple[int, str, str]]


def test_variants_that_training_tested_are_what_an_evaluation_would_log(
    store: str, command: Command
) -> None:
    given = {"model": "mlp", "visualisers": "none", "log_model": False, "lr": 0.01, "seed": 3}
    variants = {"rotated-25": Variant(rotate=25), "rotated-9-noised-0.1": Variant(9, noise=0.1)}
    tested = mlrun.train({**given, "test_variants": "rotate=25,noise=0.1+rotate=9"}).run_id
    plain = mlrun.train(given).run_id
    for word, variant in variants.items():
        name = f"test-{word}"
        known, found = (
            evaluate(run_id, EvaluationRequest(variant=variant)) for run_id in (tested, plain)
        )
        assert (known.fresh, found.fresh) == (False, True)
        assert (known.name, known.loss, known.accuracy) == (name, found.loss, found.accuracy)
        for what in ("loss", "accuracy"):
            assert history(tested, f"{name}/{what}") == history(plain, f"{name}/{what}")
        ours, theirs = (MlflowClient().get_run(run_id).data.tags for run_id in (tested, plain))
        assert ours[f"mlrun.evaluation.{name}"] == theirs[f"mlrun.evaluation.{name}"]
        assert read(tested, f"predictions/{name}.npz") == read(plain, f"predictions/{name}.npz")
        assert len(history(tested, f"{name}/accuracy")) == 1
    _, _, stderr = command("evaluate", tested, "--rotate", "25")
    assert stderr.startswith("test-rotated-25/accuracy is there already\n")
    with pytest.raises(MlrunError, match="has test-rotated-25 of something else"):
        evaluate(tested, EvaluationRequest(variant=Variant(rotate=25), seed=4))


def test_a_run_tells_what_its_variants_came_to(store: str, command: Command) -> None:
    options = ["--model", "logistic", "--visualisers", "none", "--log-model", "false"]
    code, stdout, stderr = command("train", *options, "--test-variants", "rotate=25", "--epochs=1")
    assert code == 0
    figures = MlflowClient().get_run(stdout.strip()).data.metrics
    loss, accuracy = (figures[f"test-rotated-25/{what}"] for what in ("loss", "accuracy"))
    line = f"test-rotated-25 (best weights, epoch 1): loss {loss:.4f}, accuracy {accuracy:.4f}"
    assert line in stderr.splitlines()
    header, row = (line.split("\t") for line in command("runs")[1].splitlines())
    assert float(row[header.index("test-rotated-25/accuracy")]) == accuracy


def test_variants_without_a_test_part_are_refused_before_a_run_opens(
    store: str, home: Path
) -> None:
    (home / "others.py").write_text(OTHERS.replace(", test=", ", validation="))
    given = {"plugin": "others.py", "dataset": "others", "test_variants": "rotate=25"}
    with pytest.raises(MlrunError, match="data set others: it has no test part; leave test_varian"):
        mlrun.train(given)
    assert MlflowClient().search_runs(["0"]) == []
