"""A family: its parent opens with the first run under it, and has an end however that goes."""

from __future__ import annotations

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run as MlflowRun
from runs import QUICK, Recorder, logged

from mlrun.errors import MlrunError, RunFailed
from mlrun.finished.examination import examine
from mlrun.record.logged import find_run
from mlrun.record.onward import onward
from mlrun.settings.plan import Plan, plan_of
from mlrun.sweeps.family import Family, lasting


def family_of(plan: Plan) -> Family:
    return Family("seeds", plan, "2 seeds", varied=["seed"], progress=Recorder())


def plan(**settings: object) -> Plan:
    return plan_of({**QUICK, **settings})


def parent() -> MlflowRun:
    runs = MlflowClient().search_runs(["0"], "tags.`mlrun.family` != ''")
    assert len(runs) == 1
    return runs[0]


def test_the_runs_are_children_of_a_parent_that_has_what_they_have_in_common(store: str) -> None:
    with lasting(family_of(plan())) as family:
        runs = [family.train(f"seed {seed}", plan(seed=seed)) for seed in (3, 4)]
    above = parent()
    assert above.info.status == "FINISHED"
    assert above.info.run_name == "mlp widths=8 · digits · lr 0.001 · 2 seeds"
    assert above.data.params["model.widths"] == "8"
    assert "seed" not in above.data.params
    for seed, run in zip((3, 4), map(logged, [run.run_id for run in runs]), strict=True):
        assert run.data.tags["mlflow.parentRunId"] == above.info.run_id == family.run_id
        assert run.data.tags["mlrun.member"] == f"seed {seed}"
        assert run.data.params["seed"] == str(seed)
        assert run.info.run_name.endswith(f"lr 0.001 · seed {seed}")
    with pytest.raises(MlrunError, match=rf"parent of 2 runs \(seeds\).*: {runs[0].run_id}"):
        find_run(family.run_id)


def test_what_is_wrong_with_the_first_run_is_said_before_any_is_there(store: str) -> None:
    wrong = plan(dataset="csv", **{"dataset.train": "nowhere.csv"})
    with (
        pytest.raises(MlrunError, match=r"nowhere\.csv") as raised,
        lasting(family_of(wrong)) as family,
    ):
        family.train("seed 0", wrong)
    assert not isinstance(raised.value, RunFailed)
    assert MlflowClient().search_runs(["0"]) == []


def test_a_run_that_fails_ends_the_parent_with_its_reason(store: str) -> None:
    with (
        pytest.raises(RunFailed, match=r"seed 0: run .* the loss is nan") as raised,
        lasting(family_of(plan())) as family,
    ):
        family.train("seed 0", plan(lr=1e30))
    assert raised.value.run_id == parent().info.run_id
    assert parent().info.status == "FAILED"
    assert "seed 0: run " in parent().data.tags["mlrun.reason"]


def test_a_failure_that_is_caught_leaves_the_parent_to_the_others(store: str) -> None:
    with lasting(family_of(plan())) as family:
        with pytest.raises(RunFailed):
            family.train("seed 0", plan(lr=1e30))
        family.train("seed 1", plan())
    assert parent().info.status == "FINISHED"


def test_an_interrupt_ends_the_run_and_its_parent_and_says_how_to_go_on(store: str) -> None:
    class Impatient(Recorder):
        def epoch(self, number: int, metrics: object) -> None:
            raise KeyboardInterrupt

    told = Impatient()
    with (
        pytest.raises(KeyboardInterrupt),
        lasting(Family("seeds", plan(), "2 seeds", progress=told)) as family,
    ):
        family.train("seed 0", plan())
    runs = MlflowClient().search_runs(["0"])
    assert {run.info.status for run in runs} == {"KILLED"}
    assert len(runs) == 2
    assert told.lines[-1] == f"go on with all of them with: mlrun resume {family.run_id}"


def test_the_exit_of_a_plugin_between_two_runs_ends_the_parent(store: str) -> None:
    def ends() -> None:
        with lasting(family_of(plan())) as family:
            family.open()
            raise SystemExit(3)

    with pytest.raises(RunFailed, match="would end the process"):
        ends()
    assert parent().info.status == "FAILED"


def test_a_parent_lasts_as_long_as_its_process(store: str) -> None:
    with lasting(family_of(plan())) as family:
        family.open()
        (found,) = examine(MlflowClient())
        assert "it is still running" in found.text
    assert examine(MlflowClient()) == []


def test_the_parent_takes_over_the_run_that_mlflow_run_opened(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = MlflowClient().create_run("0").info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", waiting)
    with lasting(family_of(plan())) as family:
        run = family.train("seed 0", plan())
    assert family.run_id == waiting != run.run_id
    assert logged(run.run_id).data.tags["mlflow.parentRunId"] == waiting


def test_children_are_in_the_experiment_of_their_parent(store: str) -> None:
    with lasting(family_of(plan(experiment="mine"))) as family:
        run = family.train("seed 0", plan(experiment="another"))
    assert logged(run.run_id).info.experiment_id == logged(family.run_id).info.experiment_id


def test_a_parent_names_the_command_that_goes_on_with_it(store: str) -> None:
    with lasting(Family("sweep", plan(), "2", progress=Recorder(), onward="mlrun more")) as family:
        family.open()
    tags = logged(family.run_id).data.tags
    assert onward(MlflowClient(), family.run_id, tags) == "go on with: mlrun more"
    others = {"mlrun.family": "seeds"}
    assert onward(MlflowClient(), "abc", others) == "go on with: mlrun resume abc"
