"""Which weights of a run that was killed are the best: by its folder, its journal and MLflow."""

from __future__ import annotations

from pathlib import Path

import pytest
from lost import lost, save
from mlflow import MlflowClient

from mlrun.record.events import Event
from mlrun.record.folders import run_folder
from mlrun.record.saved import SavedWeights, best_saved


def losses(**by_epoch: float) -> list[Event]:
    return [Event("metric", "val/loss", v, int(name[1:])) for name, v in by_epoch.items()]


def best(run_id: str) -> SavedWeights | None:
    client = MlflowClient()
    return best_saved(client, run_id, client.get_run(run_id).data.params)


def here(run_id: str, epoch: int) -> SavedWeights:
    return SavedWeights(epoch, run_folder(run_id) / f"epoch-{epoch}.pt")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"e3": 0.5, "e7": 0.25, "e8": 0.125}, 7),  # that of epoch 8 is not saved
        ({"e3": 0.5, "e7": 0.5}, 3),  # the earlier of equals
        ({"e3": float("nan"), "e7": 0.75}, 7),
        ({"e3": 0.5}, 3),
        ({}, 7),
    ],
)
def test_of_the_weights_in_its_folder_those_with_the_best_figure(
    store: str, values: dict[str, float], expected: int
) -> None:
    run_id = lost(store, *losses(**values))
    save(run_id, "epoch-3.pt", "epoch-7.pt", "last.pt", "epoch-9.tmp")
    assert best(run_id) == here(run_id, expected)


def test_figures_and_monitor_count_sent_or_not(store: str) -> None:
    accuracies = [Event("metric", "val/accuracy", v, e) for e, v in ((3, 0.25), (7, 0.5))]
    run_id = lost(store, *losses(e3=0.125), Event("param", "monitor", "val/accuracy"), *accuracies)
    save(run_id, "epoch-3.pt", "epoch-7.pt")
    assert best(run_id) == here(run_id, 7)
    client = MlflowClient()
    client.log_param(run_id, "monitor", "val/loss")
    client.log_metric(run_id, "val/loss", 0.0625, step=7)
    assert best(run_id) == here(run_id, 7)


def test_without_its_folder_those_that_the_store_has(store: str, tmp_path: Path) -> None:
    client, run_id = MlflowClient(), lost(store, *losses(e3=0.5, e7=0.25))
    assert best(run_id) is None
    for name in ("epoch-3.pt", "last.pt"):
        (tmp_path / name).write_bytes(b"")
        client.log_artifact(run_id, str(tmp_path / name), "checkpoints")
    assert best(run_id) == SavedWeights(3)
    save(run_id, "epoch-7.pt")
    assert best(run_id) == here(run_id, 7)
