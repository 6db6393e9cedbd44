"""What mlrun evaluate refuses, on one line."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient
from runs import OTHERS

import mlrun
from mlrun.data.variants import Variant
from mlrun.errors import MlrunError
from mlrun.finished.evaluate import EvaluationRequest, evaluate

Command = Callable[..., tuple[int, str, str]]


def read(run_id: str, path: str) -> bytes:
    return Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=path)).read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"names": "a,b"}, "it has 2 classes, run {run} has 10"),
        (
            {"names": "0,1,2,3,4,5,7,6,8,9"},
            "its classes are not those of run {run}: class 6 is 7, there it is 6",
        ),
        ({"size": 9}, "its images are (1, 9, 9), those of run {run} (1, 8, 8)"),
        ({"siz": 9}, "unknown option of dataset others: siz"),
    ],
)
def test_data_that_do_not_fit_the_run_are_refused(
    finished: str, home: Path, options: dict[str, object], message: str
) -> None:
    (home / "others.py").write_text(OTHERS)
    with pytest.raises(MlrunError) as caught:
        evaluate(
            finished,
            EvaluationRequest(dataset="others", plugins=(Path("others.py"),), options=options),
        )
    assert message.format(run=finished) in str(caught.value)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "mlrun evaluate: Missing argument 'RUN_ID'."),
        (["beef"], "no run beef in sqlite:///"),
        (["RUN", "--rotat", "3"], "mlrun evaluate: unknown option --rotat; did you mean --rotate?"),
        (["RUN", "--rotate", "far"], "mlrun evaluate: Invalid value for '--rotate'"),
        (["RUN", "--rotate", "-1"], "rotate -1.0: expected a number from 0 to 180"),
        (["RUN", "--part", "tets"], "mlrun evaluate: Invalid value for '--part'"),
        (["RUN", "--dataset", "digit"], "unknown dataset digit; did you mean digits?"),
        (["RUN", "--weights.cmap", "x"], "unknown option --weights.cmap; there are: --dataset.NAM"),
        (["RUN", "--name", "val"], "name val: expected letters, digits, - _ and ."),
        (["RUN", "--name", "a/b"], "name a/b: expected letters, digits, - _ and ."),
        (["RUN", "--noise", "0.1", "--device", "tpu"], "device tpu is not here; there are: "),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(
    finished: str, command: Command, args: list[str], message: str
) -> None:
    code, stdout, stderr = command("evaluate", *(finished if a == "RUN" else a for a in args))
    assert (code, stdout) == (2, "")
    (line,) = stderr.splitlines()
    assert line.startswith(f"Error: {message}")


def test_a_store_that_is_not_there_is_not_made(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home}/none.db")
    with pytest.raises(MlrunError, match=r"sqlite:///.*/none.db: there is none yet; go to the fol"):
        evaluate("abcd", EvaluationRequest())
    assert list(home.iterdir()) == []


def test_runs_without_weights_are_named_with_the_reason(store: str, home: Path) -> None:
    client = MlflowClient()
    foreign = client.create_run("0").info.run_id
    with pytest.raises(MlrunError, match=f"run {foreign} was not made by mlrun; give one that mlr"):
        evaluate(foreign, EvaluationRequest())
    settings = {"model": "mlp", "visualisers": "none", "log_model": False}
    with pytest.raises(mlrun.RunFailed) as failed:
        mlrun.train({**settings, "optimiser": "sgd", "lr": 1e30})
    run_id = failed.value.run_id
    with pytest.raises(MlrunError, match=rf"run {run_id} has no checkpoints \(it failed: the loss"):
        evaluate(run_id, EvaluationRequest())
    client.set_tag(run_id, "mlrun.status", "RUNNING")
    with pytest.raises(MlrunError, match=rf"run {run_id} has no checkpoints \(it is still running"):
        evaluate(run_id, EvaluationRequest())
    client.delete_run(run_id)
    with pytest.raises(MlrunError, match=f"run {run_id} was deleted; restore it with: mlflow runs"):
        evaluate(run_id, EvaluationRequest())


def test_artifacts_that_are_gone_or_broken_are_named(finished: str, home: Path) -> None:
    best = MlflowClient().get_run(finished).data.tags["mlrun.best_epoch"]
    (path,) = home.glob(f"mlruns/0/*/artifacts/checkpoints/epoch-{best}.pt")
    asked = EvaluationRequest(variant=Variant(noise=0.1))
    path.write_bytes(b"no weights")
    with pytest.raises(MlrunError, match=f"run {finished}: its checkpoint {path.name} cannot be r"):
        evaluate(finished, asked)
    path.unlink()
    with pytest.raises(MlrunError, match=f"run {finished}: its artifact checkpoints/{path.name} c"):
        evaluate(finished, asked)
    shutil.rmtree(home / "mlruns")
    with pytest.raises(MlrunError, match=f"run {finished}: its artifact settings.yaml cannot be h"):
        evaluate(finished, asked)


def test_a_plugin_file_that_is_gone_is_said_to_be_in_the_run(store: str, home: Path) -> None:
    (home / "others.py").write_text(OTHERS)
    run = mlrun.train(
        {
            "plugin": "others.py",
            "dataset": "others",
            "model": "logistic",
            "epochs": 1,
            "visualisers": "none",
            "log_model": False,
        }
    )
    Path("others.py").unlink()
    with pytest.raises(MlrunError, match=r"used the plugin file others.py, which is not here; its"):
        evaluate(run.run_id, EvaluationRequest(variant=Variant(noise=0.1)))
    assert read(run.run_id, "plugins/others.py").decode() == OTHERS


def test_a_start_of_several_ids_is_refused_with_them(finished: str, home: Path) -> None:
    with sqlite3.connect(home / "mlflow.db") as database:
        database.execute("CREATE TEMPORARY TABLE twin AS SELECT * FROM runs")
        database.execute("UPDATE twin SET run_uuid = ?", [f"{finished[:6]}{'0' * 26}"])
        database.execute("INSERT INTO runs SELECT * FROM twin")
    database.close()
    with pytest.raises(MlrunError, match=f"several runs start with {finished[:6]}: .*; give more "):
        evaluate(finished[:6], EvaluationRequest())
    assert not evaluate(finished[:31], EvaluationRequest()).fresh
