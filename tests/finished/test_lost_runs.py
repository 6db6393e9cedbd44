"""A run whose process was killed: its best weights are used, and what can be done is said."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from killed import killed as at_place
from lost import dead_process, opened, status
from mlflow import MlflowClient
from PIL import Image
from runs import QUICK, artifacts, history, logged

import mlrun
from mlrun.errors import MlrunError
from mlrun.preparing.weights import best_weights
from mlrun.record.folders import run_folder
from mlrun.record.logged import find_run

Command = Callable[..., tuple[int, str, str]]
KILLED = """
import os, signal
from mlflow import MlflowClient
from runs import Recorder, only_run
from waiting import until
import mlrun

class Killed(Recorder):
    def epoch(self, number, metrics):
        if number == 4:
            until(lambda: is_stored(only_run().info.run_id))
            os.kill(os.getpid(), signal.SIGKILL)

def is_stored(run_id):
    files = {item.path for item in MlflowClient().list_artifacts(run_id)}
    return "settings.yaml" in files and MlflowClient().get_metric_history(run_id, "val/loss")[3:]

settings = {"model": "mlp", "model.widths": "8", "visualisers": "none", "log_model": False}
mlrun.train({**settings, "epochs": 9, "keep": 2, "lr": 0.02}, progress=Killed())
"""


@pytest.fixture
def killed(store: str) -> str:
    """The id of a run that was killed (`kill -9`) behind its fourth epoch."""
    tests = str(Path(__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", KILLED],
        env={**os.environ, "PYTHONPATH": tests},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -9, done.stderr
    (run,) = MlflowClient().search_runs(["0"])
    run_id: str = run.info.run_id
    return run_id


def artifacts_here(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.pt"))


def picture(place: Path) -> str:
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(place)
    return str(place)


def test_a_killed_run_is_lost_and_its_best_weights_are_used(
    killed: str, command: Command, tmp_path: Path
) -> None:
    assert status(killed) == "RUNNING"
    _, best = min((loss, epoch) for epoch, loss in history(killed, "val/loss") if epoch)
    resume = f"run {killed}: it is lost, its process is gone; go on with: mlrun resume {killed}"

    code, stdout, stderr = command("runs")
    assert "\tlost\t" in stdout
    assert stderr.startswith(resume)

    place = f"its weights of epoch {best} are used, the best that its folder on this machine has\n"
    image = picture(tmp_path / "image.png")
    code, here, stderr = command("predict", killed, image)
    assert code == 0, stderr
    assert stderr.startswith(f"Warning: {resume}")
    assert stderr.endswith(place)
    assert stderr.count("\n") == 1

    code, stdout, stderr = command("evaluate", killed, "--part", "val")
    assert code == 0, stderr
    assert place in stderr
    logged = dict(history(killed, "val/loss"))[best]
    assert stdout.startswith(f"val: loss {logged:.4f}, ")

    # somebody ends it in MLflow
    client, folder = MlflowClient(), run_folder(killed)
    client.set_tag(killed, "mlrun.status", "FAILED")
    client.set_terminated(killed, "FAILED")
    code, _, stderr = command("predict", killed, image)
    assert (code, stderr) == (0, f"Warning: run {killed} is FAILED: {place}")
    assert find_run(killed).best_epoch == best
    client.update_run(killed, status="RUNNING")

    # mlrun doctor ends it, and MLflow has its checkpoints
    names = artifacts_here(folder)
    assert len(names) >= 3
    code, stdout, stderr = command("doctor", "--fix", killed)
    assert code == 0, stderr
    assert f"it is FAILED now; go on with: mlrun resume {killed}\n" in stdout
    assert status(killed) == "FAILED"
    assert artifacts(killed, "checkpoints") == names == artifacts_here(folder)
    assert command("predict", killed, image) == (0, here, "")

    # the folder is lost, and MLflow has what the run logged while it lasted
    client.update_run(killed, status="RUNNING")
    client.delete_tag(killed, "mlrun.best_epoch")
    shutil.rmtree(folder)
    code, stored, stderr = command("predict", killed, image)
    assert (code, stored) == (0, here)
    assert stderr.startswith(f"Warning: {resume}")
    assert stderr.endswith(f"its weights of epoch {best} are used, the best that MLflow has\n")

    code, _, stderr = command("report", killed)
    assert stderr.startswith(f"Warning: {resume}")
    assert '<span class="status lost">lost</span>' in Path(f"report-{killed[:8]}.html").read_text()


@pytest.mark.parametrize("sent", [pytest.param(9, marks=pytest.mark.slow), 15])
def test_what_one_that_may_go_on_is_evaluated_to_is_not_logged(
    store: str, command: Command, sent: int
) -> None:
    settings = {**QUICK, "epochs": 3, "lr": 0.01, "test_variants": "rotate=25"}
    whole = mlrun.train(settings).run_id
    run_id = at_place(settings, "epoch", 1, sent)
    for more in ((), ("--rotate", "25"), ("--noise", "0.1"), ("--part", "train")):
        code, stdout, stderr = command("evaluate", run_id, *more)
        assert code == 0, stderr
        assert " loss " in stdout
        is_now = "lost" if sent == 9 else "KILLED"
        assert f"not logged: run {run_id} is {is_now}, and may go on\n" in stderr
    assert command("resume", run_id)[0] == 0
    tests = [n for n in logged(whole).data.metrics if n.startswith(("test", "train-best"))]
    assert sorted(tests) == sorted(
        n for n in logged(run_id).data.metrics if n.startswith(("test", "train-best"))
    )
    assert {n: history(run_id, n) for n in tests} == {n: history(whole, n) for n in tests}
    code, _, stderr = command("evaluate", run_id, "--noise", "0.1")
    assert (code, "not logged" in stderr) == (0, False)
    assert "test-noised-0.1/loss" in logged(run_id).data.metrics


@pytest.mark.slow
def test_one_that_begins_again_says_so_everywhere_until_it_has_done_so(
    store: str, command: Command, tmp_path: Path
) -> None:
    run_id = at_place(QUICK, "step", 2)  # before its first state
    on = f"no state was saved, begin it again with: mlrun resume {run_id}"
    image = picture(tmp_path / "image.png")
    lines = [("runs",), ("doctor",), ("predict", run_id, image), ("evaluate", run_id)]
    for line in [*lines, ("doctor", "--fix"), *lines[2:], ("reproduce", run_id)]:
        _, stdout, stderr = command(*line)
        assert on in f"{stdout}{stderr}", line
    code, _, stderr = command("resume", run_id)
    assert code == 0, stderr
    assert "goes on from the beginning, for no state was saved" in stderr


def test_one_of_which_nothing_is_saved_says_so(
    store: str, command: Command, tmp_path: Path
) -> None:
    run_id = opened(process=dead_process())
    told = (
        "it is lost, its process is gone; nothing to go on from was saved; end it with: mlrun "
        "doctor --fix"
    )
    image = picture(tmp_path / "image.png")
    for line in (("predict", run_id, image), ("evaluate", run_id)):
        code, _, stderr = command(*line)
        assert (code, stderr.count("\n")) == (2, 1)
        assert stderr.startswith(f"Error: run {run_id}: its artifact settings.yaml cannot be had (")
        assert stderr.endswith(f"); {told}\n")
    with pytest.raises(MlrunError, match=f"has no checkpoints \\({told}\\)"):
        best_weights(find_run(run_id))
