"""Checkpoints go to the store while the training lasts, and those that are not kept go again."""

from __future__ import annotations

import pytest
from mlflow import MlflowClient
from runs import QUICK, Recorder, artifacts, only_run, read
from waiting import until

import mlrun
from mlrun.running import saving


class Onlooker(Recorder):
    """Waits after the second epoch until checkpoints are in the store, and notes which."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def epoch(self, number: int, metrics: object) -> None:
        if number == 2:
            until(self.sees_the_state)

    def sees_the_state(self) -> bool:
        self.seen = artifacts(only_run().info.run_id, "checkpoints")
        return "last.pt" in self.seen


@pytest.mark.parametrize("every", [0.0, 180.0])
def test_checkpoints_are_in_the_store_while_training_lasts(
    store: str, monkeypatch: pytest.MonkeyPatch, every: float
) -> None:
    monkeypatch.setattr(saving, "LOG_EVERY", every)
    onlooker = Onlooker() if not every else Recorder()
    run = mlrun.train({**QUICK, "epochs": 4, "keep": 1}, progress=onlooker)
    if isinstance(onlooker, Onlooker):
        assert "last.pt" in onlooker.seen
        assert any(name.startswith("epoch-") for name in onlooker.seen)
    assert artifacts(run.run_id, "checkpoints") == [f"epoch-{run.best_epoch}.pt", "last.pt"]
    assert MlflowClient().get_run(run.run_id).data.tags["mlrun.best_epoch"] == str(run.best_epoch)
    assert read(run.run_id, "checkpoints/last.pt")
