"""A worker: it runs the queued trials of a study, each a run under the sweep's parent."""

from __future__ import annotations

import csv
import re
import sys
import warnings
from pathlib import Path

import pytest
from optuna.trial import TrialState
from runs import OTHERS, Recorder, history, logged, plugin, read
from studies import begun, children, study_at

from mlrun.errors import MlrunError
from mlrun.sweeps import study as studies
from mlrun.sweeps.family import lasting
from mlrun.sweeps.optional import check_optuna
from mlrun.sweeps.outcome import log, outcome_of
from mlrun.sweeps.study import PARENT, PROCESS
from mlrun.sweeps.sweep import family_of
from mlrun.sweeps.worker import work


def test_each_trial_is_a_child_and_the_best_one_is_a_recipe(store: str) -> None:
    url, request = begun({"lr": "0.1,0.0001", "epochs": "1,2"}, 4, sampler="grid")
    shown = Recorder()
    work(url, "s", {}, shown)
    study = study_at(url)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 4
    runs, parent = children(), study.user_attrs[PARENT]
    assert [run.data.tags["mlflow.parentRunId"] for run in runs] == [parent] * 4
    assert [run.info.status for run in runs] == ["FINISHED"] * 4
    drawn = [(run.data.params["lr"], run.data.params["epochs"]) for run in runs]
    assert drawn == [("0.1", "1"), ("0.1", "2"), ("0.0001", "1"), ("0.0001", "2")]
    outcome = outcome_of(study, request, parent)
    losses = {run.info.run_id: run.data.metrics["val/loss"] for run in runs}
    assert outcome.best is not None
    assert outcome.best.value == min(losses.values()) == losses[outcome.best_run]
    assert outcome.counts == {"finished": 4, "pruned": 0, "failed": 0, "left": 0}
    rows = list(csv.DictReader(outcome.table().splitlines()))
    assert [row["run_id"] for row in rows] == [run.info.run_id for run in runs]
    assert [float(row["val/loss"]) for row in rows] == [trial.value for trial in study.trials]
    Path("best.yaml").write_text(outcome.recipe())
    again = request.plan(outcome.best.params)
    from mlrun.settings.plan import plan_of

    assert plan_of({"recipe": "best.yaml"}).params() == again.params()
    assert sum(line.startswith("trial ") for line in shown.lines) == 4


@pytest.mark.slow
def test_a_trial_that_falls_behind_is_pruned_and_its_run_is_finished(store: str) -> None:
    url, _ = begun(
        {"lr": "0.03,0.02,0.01,0.005,1e-5"}, 5, sampler="grid", pruner="median", epochs=4
    )
    work(url, "s", {}, Recorder())
    states = [trial.state.name for trial in study_at(url).trials]
    assert states == ["COMPLETE"] * 4 + ["PRUNED"]
    pruned = children()[-1]
    assert pruned.info.status == "FINISHED"
    assert pruned.data.tags["mlrun.stopped"] == "pruned"
    assert len(study_at(url).trials[-1].intermediate_values) < 4


def test_a_trial_that_fails_counts_and_the_others_go_on(store: str) -> None:
    url, request = begun({"lr": "1e30,0.1"}, 2, sampler="grid", model="mlp")
    shown = Recorder()
    work(url, "s", {}, shown)
    study = study_at(url)
    assert [trial.state.name for trial in study.trials] == ["FAIL", "COMPLETE"]
    assert [run.info.status for run in children()] == ["FAILED", "FINISHED"]
    outcome = outcome_of(study, request, "")
    assert outcome.summary == "2 trials: 1 finished, 1 failed"
    assert "the loss is nan" in outcome.table()
    assert any(line.startswith("trial 1 of 2 failed: run ") for line in shown.lines)


@pytest.mark.slow
def test_trials_that_cannot_be_begun_end_the_worker_after_some(store: str) -> None:
    url, _ = begun({"lr": "1,2,3,4,5,6"}, 6, sampler="grid", data_dir="nowhere", dataset="mnist")
    with pytest.raises(MlrunError, match="3 trials in a row could not be begun"):
        work(url, "s", {}, Recorder())
    assert children() == []


@pytest.mark.slow
def test_an_interrupted_trial_is_queued_again_and_its_run_goes_on(store: str) -> None:
    url, request = begun({"lr": "0.1,0.2"}, 2, sampler="grid", epochs=3)

    class Impatient(Recorder):
        def note(self, text: str) -> None:
            super().note(text)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # as the first trial is told
        work(url, "s", {}, Impatient())
    study = study_at(url)
    assert [trial.state.name for trial in study.trials] == ["FAIL", "WAITING", "WAITING"]
    work(url, "s", {}, Recorder())
    study = study_at(url)
    assert outcome_of(study, request, "").summary == "2 trials: 2 finished"
    assert len(children()) == 2  # the first was finished, and is not trained again


def test_a_trial_whose_process_is_gone_is_queued_again_at_once(store: str) -> None:
    url, _ = begun({"lr": "0.1,0.2"}, 2, sampler="grid")
    study = study_at(url)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a heartbeat, which trials asked for so do not have
        trial, other = study.ask(), study.ask()
    host, number, began = studies.here().rsplit(" ", 2)
    trial.set_user_attr(PROCESS, f"{host} {number} {float(began) - 1:.2f}")  # an earlier one
    other.set_user_attr(PROCESS, studies.here())
    studies.reap(study, url)
    assert [each.state.name for each in study.trials] == ["FAIL", "RUNNING", "WAITING"]
    studies.reap(study, url)
    assert len(study.trials) == 3
    assert study.trials[2].user_attrs["place"] == 1


def test_who_joins_names_the_plugin_files_that_are_executed(store: str, tmp_path: Path) -> None:
    file = plugin(tmp_path, OTHERS)
    url, _ = begun({"lr": "0.1,0.2"}, 1, plugin=file)
    with pytest.raises(MlrunError, match=f"if you trust them, name them here: --plugin {file}"):
        work(url, "s", {}, Recorder())
    work(url, "s", {"plugin": [file]}, Recorder())
    assert len(children()) == 1


@pytest.mark.slow
def test_a_parent_that_goes_on_has_the_figures_and_the_table_of_all(store: str) -> None:
    search: dict[str, object] = {"lr": "1e-5,0.1"}
    url, request = begun(search, 1, sampler="grid")
    study, shown = study_at(url), Recorder()
    for trials in (1, 2):
        with studies.lock_of(url):
            studies.queue(study, request, trials)
        with lasting(family_of(request, "s", shown)) as family:
            if trials == 1:
                study.set_user_attr(PARENT, family.open())
            else:
                family.reopen(study.user_attrs[PARENT])
            work(url, "s", {}, shown)
            log(outcome_of(study, request, family.run_id), study, family.tracker)
    parent, best = logged(study.user_attrs[PARENT]), children()[1]
    assert parent.info.run_name == "digits · sweep of lr"
    assert "lr" not in parent.data.params
    assert parent.data.metrics["trials/finished"] == 2
    assert parent.data.metrics["val/loss"] == best.data.metrics["val/loss"]
    assert parent.data.metrics["test/accuracy"] == best.data.metrics["test/accuracy"]
    assert history(parent.info.run_id, "best/val-loss")[-1] == (2, best.data.metrics["val/loss"])
    assert parent.data.tags["mlrun.best_run"] == best.info.run_id
    assert len(read(parent.info.run_id, "trials.csv").splitlines()) == 3
    assert b"lr: 0.1\n" in read(parent.info.run_id, "best.yaml").replace(b"'", b"")


def test_without_optuna_a_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MlrunError, match=re.escape("pip install 'mlrun-vision[sweep]'")):
        check_optuna()


def test_a_study_is_not_gone_on_with_by_another_search(store: str) -> None:
    begun({"lr": "0.1,0.2"}, 1)
    with pytest.raises(MlrunError, match="study s has another search, or other settings"):
        begun({"lr": "0.1,0.3"}, 1)
    with pytest.raises(MlrunError, match="study s has another search, or other settings"):
        begun({"lr": "0.1,0.2"}, 1, epochs=2)
    begun({"lr": "0.1,0.2"}, 2, data_dir="elsewhere")


def test_there_is_no_study_of_that_name(store: str) -> None:
    url, _ = begun({"lr": "0.1,0.2"}, 1)
    with pytest.raises(MlrunError, match="unknown study t; there are: s"):
        work(url, "t", {}, Recorder())


def test_studies_never_lie_in_mlflows_own_database(store: str) -> None:
    for url in (store, "sqlite:///mlflow.db"):
        with pytest.raises(MlrunError, match="MLflow keeps its runs there"):
            studies.open_storage(url)
    Path("mlflow.db").unlink()
    with pytest.raises(MlrunError, match="MLflow keeps its runs there"):
        studies.open_storage(store)
    assert not Path("mlflow.db").exists()
    with pytest.raises(MlrunError, match="storage here: expected sqlite:///FILE"):
        studies.open_storage("here")
    assert studies.default_storage() == f"sqlite:///{Path('mlrun-sweeps.db').absolute()}"
