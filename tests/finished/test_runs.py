"""mlrun runs: the last runs, what differs between them, and their figures."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from mlrun.cli.runs import fitting
from mlrun.record.overview import Row, differing, last_runs

Command = Callable[..., tuple[int, str, str]]


def add_run(
    number: int, params: dict[str, str], *, experiment: str = "0", status: str = "FINISHED"
) -> str:
    """Logs a run as mlrun leaves it; the `number`-th, so many hours after the first."""
    client = MlflowClient()
    start = 1_700_000_000_000 + number * 3_600_000
    run_id: str = client.create_run(experiment, start_time=start, run_name=f"r{number}").info.run_id
    tags = {"mlrun.version": "0.1.0", "mlrun.status": status, "mlrun.best_epoch": str(number)}
    client.log_batch(
        run_id,
        metrics=[Metric("test/accuracy", number / 10, start, number)],
        params=[Param(name, value) for name, value in params.items()],
        tags=[RunTag(name, value) for name, value in tags.items()],
    )
    client.set_terminated(run_id, "FINISHED", start + 90_500)
    return run_id


@pytest.fixture
def three(store: str) -> list[str]:
    """Three runs, the newest first; the last is of another model."""
    common = {"dataset": "digits", "epochs": "5"}
    return [
        add_run(3, {**common, "lr": "0.1", "model": "mlp", "model.widths": "8"}, status="KILLED"),
        add_run(2, {**common, "lr": "0.01", "model": "mlp", "model.widths": "9"}),
        add_run(1, {**common, "lr": "0.01", "model": "cnn"}),
    ]


def test_json_lists_the_newest_first_with_all_that_is_known(
    three: list[str], command: Command
) -> None:
    code, stdout, _ = command("runs", "--json")
    assert code == 0
    found = json.loads(stdout)
    assert found["differs"] == ["model", "lr", "model.widths"]
    assert [run["run_id"] for run in found["runs"]] == three
    assert found["runs"][0] == {
        "run_id": three[0],
        "name": "r3",
        "experiment": "Default",
        "status": "KILLED",
        "started": "2023-11-15T01:13:20+00:00",
        "seconds": 90.5,
        "best_epoch": 3,
        "metrics": {"test/accuracy": 0.3},
        "params": {
            "dataset": "digits", "epochs": "5", "lr": "0.1", "model": "mlp", "model.widths": "8"
        },
    }  # fmt: skip


def test_where_it_is_piped_there_are_tabs_and_nothing_is_cut(
    three: list[str], command: Command
) -> None:
    code, stdout, _ = command("runs", "-n", "2")
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(stdout), delimiter="\t"))
    assert [row["run_id"] for row in rows] == three[:2]
    assert [row["model.widths"] for row in rows] == ["8", "9"]
    assert [row["test/accuracy"] for row in rows] == ["0.3", "0.2"]
    assert [row["seconds"] for row in rows] == ["90.5", "90.5"]
    assert "epochs" not in rows[0]


def test_what_is_shown_of_a_real_run_is_what_it_logged(finished: str, command: Command) -> None:
    run = MlflowClient().get_run(finished)
    (row,) = json.loads(command("runs", "--json")[1])["runs"]
    assert (row["run_id"], row["status"]) == (finished, "FINISHED")
    assert row["metrics"] == run.data.metrics
    assert row["params"] == run.data.params
    assert str(row["best_epoch"]) == run.data.tags["mlrun.best_epoch"]
    took = (run.info.end_time - run.info.start_time) / 1000
    assert row["seconds"] == pytest.approx(took, abs=0.051)


def row(number: int, params: dict[str, str], **changed: object) -> Row:
    given = {
        "run_id": f"{number:032x}",
        "name": "",
        "experiment": "Default",
        "status": "FINISHED",
        "started": (datetime.now(UTC) - timedelta(hours=number)).timestamp(),
        "seconds": 125.0,
        "best_epoch": 4,
        "metrics": {"val/loss": 0.25, "val/accuracy": 0.9, "test/accuracy": 0.875},
        "params": params,
    }
    return Row(**{**given, **changed})


def test_a_terminal_gets_the_columns_that_fit_and_the_names_of_the_others() -> None:
    rows = [
        row(1, {"model": "cnn", "lr": "0.1", "tags": "x" * 40, "seed": "1"}),
        row(2, {"model": "mlp", "lr": "0.01", "tags": "y", "seed": "2"}, metrics={}),
    ]
    differs = differing(rows)
    assert differs == ["model", "lr", "seed", "tags"]
    for width in (80, 110, 200):
        lines = fitting(rows, differs, width)
        assert max(map(len, lines)) <= width
        shown = lines[0].split()
        assert shown[:5] == ["run", "age", "took", "status", "epoch"]
        left_out = [name for name in differs if name not in shown]
        assert (f"also differ: {', '.join(left_out)} (see --json)" in lines) == bool(left_out)
    assert lines == [
        "run       age  took   status    epoch  test acc  val acc  val loss  model  lr    seed  "
        "tags",
        "00000000  1 h  2 min  FINISHED  4      0.8750    0.9000   0.2500    cnn    0.1   1     "
        f"{'x' * 23}…",
        "00000000  2 h  2 min  FINISHED  4      -         -        -         mlp    0.01  2     y",
    ]


def test_accuracies_on_changed_data_are_columns_where_a_run_has_them() -> None:
    figures = {"test/accuracy": 0.875, "test-rotated-25/accuracy": 0.5, "test-rotated-25/loss": 2.0}
    rows = [row(1, {"lr": "0.1"}, metrics=figures), row(2, {"lr": "0.1"})]
    header, first, second = fitting(rows, [], 120)
    assert header.endswith("val loss  test-rotated-25 acc")
    assert first.endswith("  0.5000")
    assert second.endswith("  -")
    assert fitting(rows, [], 80)[-1] == "also differ: test-rotated-25 acc (see --json)"


def test_settings_that_an_older_version_lacked_and_runs_that_just_began_do_not_differ() -> None:
    rows = [row(1, {"lr": "1", "ema": "0.9", "experiment": "a"}), row(2, {"lr": "1"}), row(3, {})]
    assert differing(rows) == []
    rows.append(row(4, {"lr": "1", "model.widths": "8", "experiment": "b"}))
    assert differing(rows) == []  # the others have another model
    rows.append(row(5, {"lr": "1", "model.widths": "9"}))
    assert differing(rows) == ["model.widths"]


def test_one_experiment_can_be_asked_for_and_foreign_runs_are_left_out(store: str) -> None:
    other = MlflowClient().create_experiment("other")
    MlflowClient().create_run("0")  # not mlrun's
    here, there = add_run(1, {"lr": "1"}), add_run(2, {"lr": "1"}, experiment=other)
    assert [found.run_id for found in last_runs(20, None)] == [there, here]
    assert [found.run_id for found in last_runs(20, "other")] == [there]
    assert [found.experiment for found in last_runs(20, None)] == ["other", "Default"]


def test_a_real_terminal_gets_a_table(three: list[str]) -> None:
    master, slave = pty.openpty()
    done = subprocess.Popen(
        [sys.executable, "-m", "mlrun", "runs"], stdout=slave, env={**os.environ, "COLUMNS": "100"}
    )
    os.close(slave)
    assert done.wait() == 0
    lines = os.read(master, 65536).decode().splitlines()
    os.close(master)
    assert [line[:8] for line in lines[1:4]] == [run_id[:8] for run_id in three]
    assert lines[0].split()[-3:] == ["model", "lr", "model.widths"]


def test_model_data_set_and_lr_come_before_what_one_run_was_tested_on_besides() -> None:
    rows = [
        row(1, {"seed": "0", "lr": "0.1"}, metrics={"test-rotated-25/accuracy": 0.5}),
        row(2, {"seed": "1", "lr": "0.2"}),
    ]
    (head, *_) = fitting(rows, ["seed", "lr", "model", "dataset"], 200)
    assert head.split()[-6:] == ["model", "dataset", "lr", "test-rotated-25", "acc", "seed"]


def test_a_store_without_runs_says_so(store: str, command: Command) -> None:
    assert command("runs") == (0, "", "there are no runs yet; mlrun train makes one\n")
    assert json.loads(command("runs", "--json")[1]) == {"differs": [], "runs": []}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--experiment", "Defalt"], "unknown experiment Defalt; did you mean Default?"),
        (["-n", "0"], "mlrun runs: Invalid value for '-n'"),
        (["--jsn"], "mlrun runs: No such option"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(
    store: str, command: Command, args: list[str], message: str
) -> None:
    code, stdout, stderr = command("runs", *args)
    assert (code, stdout) == (2, "")
    assert stderr.startswith(f"Error: {message}")
    assert stderr.count("\n") == 1
