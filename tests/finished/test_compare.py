"""mlrun compare and mlrun report: the command lines, and what they log."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from runs import QUICK, Recorder, artifacts, logged, read

import mlrun
from mlrun.errors import MlrunError
from mlrun.finished.compare import MOST_RUNS, compare

Command = Callable[..., tuple[int, str, str]]
PAGE = "comparison.html"


def add_run(number: int, folder: Path, *, experiment: str = "0", tested: bool = True) -> str:
    """Logs a run as mlrun leaves it: the `number`-th, an hour after the one before."""
    client, start = MlflowClient(), 1_700_000_000_000 + number * 3_600_000
    run_id: str = client.create_run(experiment, start_time=start, run_name=f"r{number}").info.run_id
    params = {"model": "mlp", "lr": f"{number}", "seed": "0", "run_name": "none"}
    tags = {"mlrun.version": "0.1.0", "mlrun.evaluation.test": "test of digits (digest 1)"}
    client.log_batch(
        run_id,
        metrics=[Metric("val/loss", 1 / (1 + epoch), start, epoch) for epoch in range(3)],
        params=[Param(name, value) for name, value in params.items()],
        tags=[RunTag(name, value) for name, value in tags.items()],
    )
    place = folder / run_id
    (place / "predictions").mkdir(parents=True)
    (place / "settings.yaml").write_text("model: mlp\n")
    if tested:
        labels = np.arange(60) % 3
        logits = np.random.default_rng(number).normal(size=(60, 3)).astype(np.float32)
        logits[np.arange(60), labels] += 2
        with (place / "predictions" / "test.npz").open("wb") as file:
            np.savez(file, logits=logits, labels=labels, indices=np.arange(60))
    client.log_artifacts(run_id, str(place))
    client.set_terminated(run_id, "FINISHED", start + 60_000)
    return run_id


@pytest.fixture
def two(store: str, tmp_path: Path) -> list[str]:
    return [add_run(number, tmp_path / "runs") for number in range(2)]


def title(page: str) -> str:
    return re.findall(r"<h1>(.*?)</h1>", page)[0]


def test_two_runs_by_the_start_of_their_ids_are_written_to_a_file(
    two: list[str], home: Path, command: Command
) -> None:
    code, stdout, stderr = command("compare", two[0][:8], two[1])
    assert (code, stdout) == (0, f"{PAGE}\n"), stderr
    assert stderr.splitlines() == [
        f"reading run 1 of 2: r0 ({two[0][:8]})",
        f"reading run 2 of 2: r1 ({two[1][:8]})",
        "drawing the page",
    ]
    page = (home / PAGE).read_text()
    assert title(page) == "Comparison of 2 runs"
    assert "lr 0 and lr 1: no difference that 60 images could show (p = " in page


def test_more_runs_than_mlflow_compares_are_one_page(
    store: str, tmp_path: Path, home: Path
) -> None:
    ids = [add_run(number, tmp_path / "runs", tested=number != 3) for number in range(14)]
    page = compare(ids).page
    assert title(page) == "Comparison of 14 runs"
    assert all(run_id[:8] in page for run_id in ids)
    assert "corrected for 78 pairs" in page  # of 13 that were tested
    assert len(re.findall(r'role="rowheader"', page)) == 13
    assert "lr 3 was not tested" in page


def test_the_last_runs_come_after_those_that_are_given_oldest_first(
    store: str, tmp_path: Path
) -> None:
    other = MlflowClient().create_experiment("other")
    ids = [add_run(number, tmp_path / "runs") for number in range(4)]
    there = [add_run(9 + number, tmp_path / "more", experiment=other) for number in range(2)]
    assert [run.run_id for run in compare([ids[3], ids[0]], last=2).runs] == [
        ids[3],
        ids[0],
        *there,
    ]
    assert [run.run_id for run in compare([], last=3, experiment="Default").runs] == ids[1:]
    assert [run.run_id for run in compare([ids[3]], last=2, experiment="Default").runs] == [
        ids[3],
        ids[2],
    ]


def test_a_comparison_is_logged_as_a_run_of_its_own_which_is_no_training(
    store: str, tmp_path: Path, home: Path, command: Command
) -> None:
    other = MlflowClient().create_experiment("other")
    ids = [add_run(1, tmp_path / "runs", experiment=other), add_run(2, tmp_path / "runs")]
    code, link, stderr = command("compare", *ids, "--log")
    assert code == 0, stderr
    assert not (home / PAGE).exists()
    (made,) = MlflowClient().search_runs([other], "tags.`mlrun.compares` != ''")
    assert link == (
        f"http://127.0.0.1:5000/#/experiments/{other}/runs/{made.info.run_id}/artifacts/{PAGE}\n"
    )
    assert (made.info.run_name, made.info.status) == ("comparison of 2 runs", "FINISHED")
    assert made.data.tags["mlrun.compares"] == ",".join(ids)
    assert artifacts(made.info.run_id) == [PAGE]
    assert title(read(made.info.run_id, PAGE).decode()) == "Comparison of 2 runs"
    _, listed, _ = command("runs")
    assert [line[:8] for line in listed.splitlines()[1:]] == [ids[1][:8], ids[0][:8]]


def test_logged_and_written_both_are_told(two: list[str], home: Path, command: Command) -> None:
    code, stdout, _ = command("compare", *two, "--log", "--output", "mine.html")
    path, link = stdout.splitlines()
    assert (code, path) == (0, "mine.html")
    assert link.endswith(f"/artifacts/{PAGE}")
    assert (home / "mine.html").exists()


def test_a_file_that_is_there_is_kept_unless_forced(
    two: list[str], home: Path, command: Command
) -> None:
    (home / PAGE).write_text("mine")
    code, stdout, stderr = command("compare", *two)
    assert (code, stdout) == (2, "")
    assert stderr == f"Error: {PAGE} is there already; add --force, or give another --output\n"
    assert (home / PAGE).read_text() == "mine"
    assert command("compare", *two, "--force")[0] == 0
    assert title((home / PAGE).read_text()) == "Comparison of 2 runs"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["compare"], "0 runs to compare; expected 2 to 50"),
        (["compare", "FIRST"], "1 run to compare; expected 2 to 50: give ids that mlrun runs"),
        (["compare", "FIRST", "SECOND", "FIRST"], "run FIRST is given twice, as FIRST and FIRST"),
        (["compare", "FIRST", "FIRST8"], "run FIRST is given twice, as FIRST and FIRST8; give"),
        (["compare", "FIRST", "0000"], "no run 0000 in sqlite:"),
        (["compare", "FIRST", "--experiment", "x"], "--experiment x says where --last N runs"),
        (["compare", "--last", "2", "--experiment", "x"], "unknown experiment x; there are: Def"),
        (["compare", "--last", "0"], "mlrun compare: Invalid value for '--last'"),
        (
            ["compare", "FIRST", "SECOND", "--output", "no/x.html"],
            "no/x.html cannot be written:",
        ),
        (["compare", "FIRST", "SECOND", "--otput", "x"], "mlrun compare: No such option"),
        (["report"], "mlrun report: Missing argument 'RUN_ID'"),
        (["report", "0000"], "no run 0000 in sqlite:"),
        (["report", "FIRST", "--output", "no/x.html"], "no/x.html cannot be written: there is no"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(
    two: list[str], command: Command, args: list[str], message: str
) -> None:
    names = {"FIRST8": two[0][:8], "FIRST": two[0], "SECOND": two[1]}
    for name, run_id in names.items():
        message = message.replace(name, run_id)
    code, stdout, stderr = command(*(names.get(arg, arg) for arg in args))
    assert (code, stdout) == (2, "")
    assert stderr.startswith(f"Error: {message}")
    assert stderr.count("\n") == 1
    assert not list(Path().glob("*.html"))


def test_too_many_runs_are_refused_before_any_is_read(
    two: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlrun.finished.compare.MOST_RUNS", 1)
    with pytest.raises(MlrunError, match=r"^2 runs to compare; expected 2 to 1"):
        compare(two)
    assert MOST_RUNS == 50


def test_a_store_that_is_not_there_is_not_made(
    home: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home}/mlflow.db")
    code, _, stderr = command("compare", "12345678", "87654321")
    assert code == 2
    assert "there is none yet" in stderr
    assert not list(home.iterdir())


class Interrupting(Recorder):
    """Breaks a training off after its first epoch."""

    def epoch(self, epoch: int, metrics: dict[str, float]) -> None:
        if epoch == 1:
            raise KeyboardInterrupt


def killed_run() -> str:
    with pytest.raises(KeyboardInterrupt):
        mlrun.train({**QUICK, "epochs": 3, "lr": 0.5}, progress=Interrupting())
    (run,) = MlflowClient().search_runs(["0"], "tags.`mlrun.status` = 'KILLED'")
    run_id: str = run.info.run_id
    return run_id


def test_a_killed_run_is_compared_and_reported_as_far_as_it_came(
    finished: str, home: Path, command: Command
) -> None:
    killed = killed_run()
    code, _, stderr = command("compare", finished, killed)
    assert code == 0, stderr
    page = (home / PAGE).read_text()
    assert '<span class="status killed">' in page
    assert "was not tested" in page

    code, stdout, stderr = command("report", killed[:8])
    assert (code, stdout) == (0, f"report-{killed[:8]}.html\n"), stderr
    assert '<span class="status killed">' in (home / stdout.strip()).read_text()
    assert command("report", killed)[2].endswith("add --force, or give another --output\n")
    assert command("report", killed, "--force")[0] == 0
    assert artifacts(killed).count("report.html") == 0


def test_a_report_made_again_is_that_of_the_run_and_takes_its_place(
    store: str, home: Path, command: Command
) -> None:
    settings = {**QUICK, "model": "cnn", "visualisers": "weights,confusion-matrix"}
    run = mlrun.train({key: value for key, value in settings.items() if key != "model.widths"})
    first = read(run.run_id, "report.html").decode()
    code, stdout, stderr = command("report", run.run_id, "--log")
    assert (code, stdout) == (0, f"{run.link}/artifacts/report.html\n"), stderr
    assert not list(home.glob("*.html"))
    again = read(run.run_id, "report.html").decode()
    pictures = r"data:image/webp;base64,[\w+/=]+"
    assert set(re.findall(pictures, first)) == set(re.findall(pictures, again))
    numbers = r"<td[^>]*>[\d.,–]+</td>"
    assert re.findall(numbers, first) == re.findall(numbers, again)
    assert logged(run.run_id).info.status == "FINISHED"


def test_two_real_runs_are_compared_with_pictures_and_disagreements(
    store: str, tmp_path: Path
) -> None:
    settings = {"model": "cnn", "model.channels": "4", "epochs": 1, "log_model": False}
    runs = [mlrun.train({**settings, "visualisers": "weights", "lr": lr}) for lr in (0.001, 0.01)]
    page = compare([run.run_id for run in runs]).page
    assert page.count('data-frames="') == 2
    assert "Enlarge weights-conv1 of lr 0.01" in page
    kept = np.load(io.BytesIO(read(runs[1].run_id, "predictions/test.npz")))
    right = (kept["logits"].argmax(1) == kept["labels"]).mean()
    assert f"{100 * right:.2f} %" in page
    assert '"address":"data:image/png' in page
