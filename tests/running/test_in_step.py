"""Several runs trained as one: each is a run of its own, whatever becomes of the others."""

from __future__ import annotations

import signal
from collections.abc import Sequence

import pytest
from mlflow import MlflowClient
from runs import QUICK, TIMES, Recorder, logged

import mlrun
from mlrun.errors import MlrunError, RunFailed
from mlrun.running.in_step import STACKED_TAG, train_in_step
from mlrun.running.membership import Membership
from mlrun.running.progress import Silent
from mlrun.running.run import Run
from mlrun.settings.plan import Plan, plan_of
from mlrun.training.callbacks import Callback
from mlrun.training.state import TrainingState
from mlrun.training.tally import Tally

SETTINGS = {**QUICK, "subset": "random:200", "epochs": 2, "optimiser": "sgd", "momentum": 0.9}


class At(Callback):
    """Raises an error, or a signal, after a step."""

    def __init__(self, step: int, raised: Exception | signal.Signals) -> None:
        self.step, self.raised = step, raised

    def on_step_end(self, state: TrainingState, tally: Tally) -> None:
        if state.step != self.step:
            return
        if isinstance(self.raised, Exception):
            raise self.raised
        signal.raise_signal(self.raised)


def plans(**settings: object) -> list[Plan]:
    given = {**SETTINGS, **settings}
    return [plan_of({**given, "seed": seed, "lr": 0.02 * (1 + seed)}) for seed in range(3)]


def in_step(
    some: Sequence[Plan],
    callbacks: dict[int, Callback],
    progress: Silent | None = None,
    *,
    always: bool = True,
) -> list[Run | Exception] | None:
    """Trains plans as one under a parent, with a callback for the run at a place."""
    parent = MlflowClient().create_run("0").info.run_id
    followed = [[callbacks[place]] if place in callbacks else [] for place in range(len(some))]
    runs = [
        (plan, Membership(lambda: parent, f"run {place}", {}, own))
        for place, (plan, own) in enumerate(zip(some, followed, strict=True))
    ]
    with mlrun.shared_data():
        return train_in_step(runs, progress or Silent(), always=always)


def status_of(place: int) -> str:
    found = MlflowClient().search_runs(["0"], f"attributes.run_name = 'run {place}'")
    assert len(found) == 1
    return str(found[0].info.status)


@pytest.mark.slow
def test_each_of_several_runs_trained_as_one_is_what_it_is_alone(store: str) -> None:
    some, heard = plans(visualisers="weights"), Recorder()
    together = in_step(some, {}, heard, always=False)
    assert together is not None
    for plan, run in zip(some, together, strict=True):
        assert isinstance(run, Run)
        alone = mlrun.train(plan)
        assert run.failures == {}
        assert run.metrics.keys() == alone.metrics.keys()
        for name, value in alone.metrics.items():
            assert name in TIMES or run.metrics[name] == pytest.approx(value, rel=1e-4)
        assert run.best_epoch == alone.best_epoch
        found, expected = logged(run.run_id), logged(alone.run_id)
        assert found.data.params == expected.data.params
        assert found.data.tags[STACKED_TAG] == "3"
        assert found.info.status == "FINISHED"
        client = MlflowClient()
        for folder in ("", "checkpoints", "images"):
            files = [
                [file.path.split("%")[0] for file in client.list_artifacts(one.run_id, folder)]
                for one in (run, alone)
            ]
            assert len(files[0]) == len(files[1]) > 0
        history = client.get_metric_history(run.run_id, "val/loss")
        assert [point.step for point in history] == [0, 1, 2]
    assert len({run.metrics["train/loss"] for run in together if isinstance(run, Run)}) == 3


def test_one_that_fails_ends_failed_and_the_others_finish(store: str) -> None:
    failed, *others = in_step(plans(), {0: At(3, RuntimeError("no room"))}) or [None]
    assert isinstance(failed, RunFailed)
    assert "no room" in str(failed)
    assert all(isinstance(run, Run) for run in others)
    assert [status_of(place) for place in range(3)] == ["FAILED", "FINISHED", "FINISHED"]


@pytest.mark.slow
def test_a_signal_ends_all_of_them_and_each_can_be_gone_on_with(store: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        in_step(plans(), {1: At(3, signal.SIGTERM)})
    assert [status_of(place) for place in range(3)] == ["KILLED"] * 3
    alone = mlrun.train(plans()[2])
    found = MlflowClient().search_runs(["0"], "attributes.run_name = 'run 2'")
    resumed = mlrun.resume(found[0].info.run_id)
    assert resumed.metrics["val/loss"] == pytest.approx(alone.metrics["val/loss"], rel=1e-4)


def test_what_cannot_be_trained_as_one_is_refused_before_a_run_is_opened(store: str) -> None:
    with pytest.raises(MlrunError, match="3 runs cannot be trained as one: optimiser rmsprop"):
        in_step(plans(optimiser="rmsprop"), {})
    with pytest.raises(MlrunError, match="as one 2 to 32 runs can be trained, not 1"):
        in_step(plans()[:1], {})
    assert not MlflowClient().search_runs(["0"], "attributes.run_name LIKE 'run %'")


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"optimiser": "rmsprop"}, "optimiser rmsprop is not done for several models"),
        (
            {"model.widths": "2000"},
            "models of 150,010 parameters gain nothing as one, by 32 images, on cpu",
        ),
    ],
)
def test_unless_it_is_a_must_they_are_left_to_be_trained_one_after_another(
    store: str, settings: dict[str, object], reason: str
) -> None:
    heard = Recorder()
    assert in_step(plans(device="cpu", **settings), {}, heard, always=False) is None
    assert len(heard.lines) == 1
    assert heard.lines[0].startswith(f"trained one after another: {reason}")
    assert not MlflowClient().search_runs(["0"], "attributes.run_name LIKE 'run %'")
