"""Several seeds, and the folds of a cross-validation: runs like any other, and their spread."""

from __future__ import annotations

import csv
import io
import json
import signal
from collections.abc import Callable, Mapping

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run as MlflowRun
from runs import QUICK, Recorder, logged, read

import mlrun
from mlrun.errors import MlrunError, RunFailed
from mlrun.finished.compare import find_runs
from mlrun.settings.plan import plan_of
from mlrun.sweeps.going_on import unfinished_parent
from mlrun.sweeps.members import seeds_asked

SETTINGS: Mapping[str, object] = {**QUICK, "subset": "random:200"}
OPTIONS = [f"--{name}={value}" for name, value in SETTINGS.items()]


class Impatient(Recorder):
    """Has the process told to end once a run of that name is at that epoch."""

    def __init__(self, name: str, epoch: int, sent: signal.Signals) -> None:
        super().__init__()
        self.name, self.at, self.sent = name, epoch, sent

    def epoch(self, number: int, metrics: object) -> None:
        if number == self.at and any(line.startswith(f"{self.name},") for line in self.lines):
            signal.raise_signal(self.sent)


def statuses() -> dict[str, str]:
    """The status of each run, by what stands last in its name."""
    runs = MlflowClient().search_runs(["0"])
    return {run.info.run_name.rpartition(" · ")[2]: run.info.status for run in runs}


def children(parent: str) -> list[MlflowRun]:
    found = MlflowClient().search_runs(["0"], f"tags.`mlflow.parentRunId` = '{parent}'")
    return sorted(found, key=lambda run: str(run.info.run_name))


def test_runs_of_several_seeds_are_those_of_each_seed_and_their_parent_has_the_spread(
    store: str,
) -> None:
    result = mlrun.train_seeds(SETTINGS, [3, 8])
    alone = mlrun.train({**SETTINGS, "seed": 8})
    sums = [logged(run.run_id).data.tags["mlrun.weights_sha256"] for run in result.runs]
    assert sums[1] == logged(alone.run_id).data.tags["mlrun.weights_sha256"] != sums[0]
    assert result.runs[1].of_best == alone.of_best
    ids = [child.info.run_id for child in children(result.run_id)]
    assert ids == [run.run_id for run in result.runs]
    assert [run.run_id for run in find_runs([result.run_id], 0, None)] == ids

    values = [run.metrics["test/accuracy"] for run in result.runs]
    metrics = logged(result.run_id).data.metrics
    assert metrics["test/accuracy/mean"] == pytest.approx(np.mean(values), abs=1e-12)
    assert metrics["test/accuracy/std"] == pytest.approx(np.std(values, ddof=1), abs=1e-12)
    rows = list(csv.DictReader(io.StringIO(read(result.run_id, "runs.csv").decode())))
    assert [row["run_id"] for row in rows] == ids
    assert [float(row["test/accuracy"]) for row in rows] == values
    summary = json.loads(read(result.run_id, "summary.json"))
    assert summary["n"] == 2
    assert summary["figures"]["test/accuracy"]["mean"] == metrics["test/accuracy/mean"]


def test_the_predictions_out_of_fold_are_those_of_each_run_for_the_images_it_left_out(
    store: str,
) -> None:
    result = mlrun.train_folds(SETTINGS, 3)
    with np.load(io.BytesIO(read(result.run_id, "out-of-fold.npz")), allow_pickle=False) as file:
        whole = {name: file[name] for name in file.files}
    assert len(np.unique(whole["indices"])) == len(whole["indices"]) == 200
    assert (np.diff(whole["indices"]) > 0).all()
    for number, run in enumerate(result.runs, start=1):
        content = io.BytesIO(read(run.run_id, "predictions/val.npz"))
        with np.load(content, allow_pickle=False) as own:
            mine = whole["folds"] == number
            assert (np.sort(own["indices"]) == whole["indices"][mine]).all()
            order = np.argsort(own["indices"])
            assert (own["labels"][order] == whole["labels"][mine]).all()
            assert (own["logits"].argmax(1)[order] == whole["predicted"][mine]).all()
            powers = np.exp(own["logits"][order])
            expected = powers / powers.sum(1, keepdims=True)
            assert whole["probabilities"][mine] == pytest.approx(expected, abs=1e-6)
            right = float((own["logits"].argmax(1) == own["labels"]).mean())
            assert run.of_best["val/accuracy"] == pytest.approx(right)
    accuracy = float((whole["predicted"] == whole["labels"]).mean())
    assert logged(result.run_id).data.metrics["out-of-fold/accuracy"] == pytest.approx(accuracy)


@pytest.mark.slow
def test_a_signal_ends_the_run_that_trains_and_the_same_call_goes_on(store: str) -> None:
    impatient = Impatient("seed 1", 2, signal.SIGINT)
    longer = {**SETTINGS, "epochs": 3}
    with pytest.raises(KeyboardInterrupt):
        mlrun.train_seeds(longer, 3, progress=impatient)
    assert statuses() == {"seed 0": "FINISHED", "seed 1": "KILLED", "3 seeds": "KILLED"}
    assert "go on with all of them with: mlrun resume " in impatient.lines[-1]

    told = Recorder()
    result = mlrun.train_seeds(longer, 3, resume="auto", progress=told)
    assert set(statuses().values()) == {"FINISHED"}
    assert len(children(result.run_id)) == 3
    assert f"run {result.runs[0].run_id} is finished" in told.lines
    assert any(line.startswith("goes on from ") for line in told.lines)

    alone = mlrun.train({**longer, "seed": 1})
    sums = [logged(one.run_id).data.tags["mlrun.weights_sha256"] for one in (result.runs[1], alone)]
    assert sums[0] == sums[1]
    assert result.runs[0].of_best.keys() == result.runs[2].of_best.keys()
    assert result.runs[1].of_best == alone.of_best


@pytest.mark.slow
def test_only_a_parent_of_the_same_seeds_and_settings_is_gone_on_with(store: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        mlrun.train_seeds(SETTINGS, 2, progress=Impatient("seed 0", 1, signal.SIGTERM))
    (parent,) = MlflowClient().search_runs(["0"], "tags.`mlrun.family` = 'seeds'")
    run_id = parent.info.run_id
    with pytest.raises(MlrunError, match=rf"run {run_id} has seeds 0,1, not 0,1,2"):
        mlrun.train_seeds(SETTINGS, 3, resume=run_id)
    with pytest.raises(MlrunError, match=rf"run {run_id} has other settings: lr 0\.001"):
        mlrun.train_seeds({**SETTINGS, "lr": 0.5}, 2, resume=run_id)
    with pytest.raises(MlrunError, match=f"run {run_id} is no parent of folds"):
        mlrun.train_folds(SETTINGS, 2, resume=run_id)
    others = seeds_asked(plan_of({**SETTINGS, "lr": 0.01}), 2)
    assert unfinished_parent(others, "auto", Recorder()) is None
    assert mlrun.train_seeds(SETTINGS, 2, resume=run_id[:8]).run_id == run_id


def test_a_seed_that_fails_ends_the_parent_and_those_after_it_are_not_begun(store: str) -> None:
    with pytest.raises(RunFailed, match=r"failed: seed 0: run .* the loss is nan"):
        mlrun.train_seeds({**SETTINGS, "lr": 1e30}, 3)
    assert statuses() == {"seed 0": "FAILED", "3 seeds": "FAILED"}


def test_the_command_prints_the_spread_and_last_the_parent_s_id(
    store: str, command: Callable[..., tuple[int, str, str]]
) -> None:
    code, out, err = command("train", *OPTIONS, "--seed", "4", "--seeds", "2")
    assert code == 0
    (parent,) = MlflowClient().search_runs(["0"], "tags.`mlrun.family` = 'seeds'")
    assert out == f"{parent.info.run_id}\n"
    mean = parent.data.metrics["test/accuracy/mean"]
    (row,) = [line.split() for line in err.splitlines() if line.startswith("test/accuracy ")]
    assert row[1] == f"{mean:.4f}"
    assert "seed 4, 1 of 2" in err
    code, out, _ = command("runs")
    assert f"{mean}" in out
    code, _, err = command("resume", parent.info.run_id)
    assert code == 2
    assert f"run {parent.info.run_id} is finished, and so is each of its seeds" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seeds", "1,1"], "Error: seeds: expected how many"),
        (["--folds", "1"], "Error: folds: expected how many"),
        (["--folds", "3", "--seeds", "2"], "Error: --seeds and --folds do not go together"),
        (["--seeds", "0,1", "--seed", "3"], "Error: --seeds 0,1 says which seeds"),
        (["--seeds", "2", "--processes", "2"], "Error: seeds: the runs are trained one after"),
        (["--folds", "9", "--subset", "20"], "Error: data set digits: 9 folds: class "),
    ],
)
def test_wrong_input_gets_one_line_before_any_run(
    store: str, command: Callable[..., tuple[int, str, str]], options: list[str], message: str
) -> None:
    code, out, err = command("train", *OPTIONS[:-1], "--quiet", *options)
    assert (code, out) == (2, "")
    assert err.startswith(message)
    assert err.count("\n") == 1
    assert MlflowClient().search_runs(["0"]) == []


def test_a_dry_run_says_which_runs_there_would_be(
    store: str, command: Callable[..., tuple[int, str, str]]
) -> None:
    code, out, _ = command("train", *OPTIONS, "--folds", "2", "--dry-run")
    assert code == 0
    assert out.endswith("# 2 folds under one parent, one run each: fold 1/2, fold 2/2\n")
    assert "validation: auto" in out
    assert MlflowClient().search_runs(["0"]) == []
