"""mlrun.train where the store does not take everything: the run ends FAILED, its files are kept."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from runs import QUICK, Recorder, only_run, without

import mlrun
from mlrun.errors import RunFailed
from mlrun.record import outbox
from mlrun.record.folders import run_folder


@pytest.fixture
def store_without_artifacts(store: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store that takes everything but files, and is soon given up: a file bars their folder."""
    monkeypatch.setattr(outbox, "GRACE", 1.0)
    (home / "mlruns").write_text("in the way")
    return store


def test_a_run_of_which_something_was_lost_ends_failed_and_keeps_its_checkpoints(
    store_without_artifacts: str,
) -> None:
    with pytest.raises(RunFailed) as caught:
        mlrun.train(QUICK)
    run = only_run()
    folder = run_folder(run.info.run_id)
    assert caught.value.run_id == run.info.run_id
    assert re.fullmatch(
        rf"run {run.info.run_id}: \d+ events were not logged \(checkpoints/epoch-1.pt, "
        rf"checkpoints/last.pt, environment.txt, …\): .*; checkpoints are kept in {folder}",
        str(caught.value),
    )
    assert run.info.status == run.data.tags["mlrun.status"] == "FAILED"
    assert run.data.tags["mlrun.reason"] == "the record is incomplete"
    assert sorted(path.name for path in folder.glob("*.pt")) == ["epoch-1.pt", "last.pt"]


def test_the_command_fails_where_something_was_lost(
    store_without_artifacts: str, command: Callable[..., tuple[int, str, str]]
) -> None:
    options = ["--model", "logistic", "--visualisers", "none", "--log-model", "false"]
    code, stdout, stderr = command("train", "--epochs", "1", "--quiet", *options)
    assert (code, stdout) == (1, "")
    assert "events were not logged (" in stderr.splitlines()[-1]


def test_a_failed_run_of_which_something_was_lost_keeps_its_own_reason(
    store_without_artifacts: str,
) -> None:
    settings = {"model": "logistic", "optimiser": "sgd", "lr": 1e38, "batch_size": 2000}
    told = Recorder()
    with pytest.raises(RunFailed, match="the validation loss is "):
        mlrun.train({**without(QUICK, "model.widths"), **settings}, progress=told)
    run = only_run()
    assert run.info.status == "FAILED"
    assert run.data.tags["mlrun.reason"].startswith("the validation loss is ")
    assert any("events were not logged (" in line for line in told.lines)
