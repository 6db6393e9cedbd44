"""Events to MLflow: all of them, once, and nothing that must not be told."""

from __future__ import annotations

import socket
import sqlite3
import sys
import threading
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from mlflow import MlflowClient
from waiting import until

from mlrun.errors import MlrunError
from mlrun.record import appearance, leftovers, links, opening, tracking
from mlrun.record import store as store_module
from mlrun.record.events import Event
from mlrun.record.pictures import encode, figure_event, grid_events, grid_stem, thumbnail
from mlrun.record.ui import free_port


def open_run(name: str = "mine", experiment: str | None = None) -> tracking.Tracker:
    return opening.open_run(name, experiment, {"team": "a"})


def artifacts(run_id: str, folder: str = "") -> list[str]:
    return sorted(item.path for item in MlflowClient().list_artifacts(run_id, folder))


def test_events_arrive_as_they_were_logged(store: str) -> None:
    tracker = open_run()
    tracker.params({"lr": "0.001"})
    tracker.tags({"note": "b"})
    tracker.metrics({"train/loss": 0.5, "val/loss": 0.6}, 0)
    tracker.metrics({"train/loss": 0.4}, 1)
    tracker.artifact("folder/text.txt", "hällo")
    tracker.close("FINISHED")
    assert tracker.left == 0
    run = MlflowClient().get_run(tracker.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "mine"
    assert run.data.params == {"lr": "0.001"}
    assert (run.data.tags["note"], run.data.tags["team"]) == ("b", "a")
    assert run.data.tags["mlrun.status"] == "FINISHED"
    history = MlflowClient().get_metric_history(tracker.run_id, "train/loss")
    assert [(m.step, m.value) for m in history] == [(0, 0.5), (1, 0.4)]
    assert artifacts(tracker.run_id, "folder") == ["folder/text.txt"]


def test_what_another_thread_is_writing_is_no_failure_of_the_record(store: str) -> None:
    tracker = open_run()

    def log() -> None:
        for number in range(200):
            tracker.artifact(f"{number}.txt", "as a picture that was rendered")

    writer = threading.Thread(target=log)
    writer.start()
    try:
        while writer.is_alive():
            tracker.check()
    finally:
        writer.join()
    tracker.close("FINISHED")
    assert tracker.lost == 0


def test_more_than_fits_a_request_arrives_once(store: str) -> None:
    tracker = open_run()
    for step in range(2500):
        tracker.metrics({"m": step}, step)
    tracker.params({f"p{number}": "x" for number in range(150)})
    tracker.close("FINISHED")
    run = MlflowClient().get_run(tracker.run_id)
    assert len(run.data.params) == 150
    history = MlflowClient().get_metric_history(tracker.run_id, "m")
    assert sorted(m.value for m in history) == list(range(2500))


def test_sending_again_doubles_nothing(store: str) -> None:
    tracker = open_run()
    picture = np.zeros((300, 400, 3), dtype=np.uint8)
    stem = grid_stem(tracker.run_id, "weights-conv1", 3, tracker.started)
    events = [
        Event("metric", "m", 1.0, 3),
        Event("param", "p", "x"),
        Event("tag", "t", "x"),
        *grid_events(stem, encode(picture, "PNG"), encode(thumbnail(picture), "WEBP")),
        figure_event("confusion", encode(picture, "PNG")),
    ]
    for _ in range(2):
        for event in events:
            tracker.log(event)
        until(lambda: not tracker.journal.left())
    tracker.close("FINISHED")
    assert tracker.left == 0
    assert len(MlflowClient().get_metric_history(tracker.run_id, "m")) == 1
    assert len(artifacts(tracker.run_id, "images")) == 2
    assert artifacts(tracker.run_id, "figures") == ["figures/confusion.png"]


def test_pictures_are_named_as_mlflow_names_them(store: str) -> None:
    """The names of ours against those that MLflow's own log_image gives."""
    import re

    tracker = open_run()
    picture = np.zeros((300, 400, 3), dtype=np.uint8)
    stem = grid_stem(tracker.run_id, "weights-conv1", 3, tracker.started)
    for event in grid_events(stem, encode(picture, "PNG"), encode(thumbnail(picture), "WEBP")):
        tracker.log(event)
    until(lambda: not tracker.journal.left())
    ours = artifacts(tracker.run_id, "images")
    client = MlflowClient()
    other = client.create_run("0").info.run_id
    client.log_image(other, picture, key="weights-conv1", step=3)
    tracker.close("FINISHED")

    def form(names: list[str]) -> list[str]:
        return sorted(
            re.sub(r"\+timestamp\+\d+\+[0-9a-f-]{36}", "+timestamp+T+ID", n) for n in names
        )

    assert form(ours) == form(artifacts(other, "images"))
    logged = client.get_run(tracker.run_id).data.tags["mlflow.loggedImages"]
    assert logged == client.get_run(other).data.tags["mlflow.loggedImages"]


def test_what_mlflow_refuses_is_lost_alone_and_is_told(store: str) -> None:
    tracker = open_run()
    tracker.metrics({"bad*name": 1.0}, 0)
    until(lambda: not tracker.journal.left())
    tracker.metrics({"good": 1.0}, 0)
    tracker.close("FINISHED")
    assert list(tracker.refused) == ["bad*name"]
    assert "bad*name" in tracker.refused["bad*name"]
    assert MlflowClient().get_run(tracker.run_id).data.metrics == {"good": 1.0}


def test_what_the_store_does_not_take_waits_in_the_journal(store: str, home: Path) -> None:
    (home / "mlruns").write_text("in the way of the artifacts")
    tracker = open_run()
    tracker.metrics({"good": 1.0}, 0)
    tracker.artifact("notes.txt", "x")
    tracker.close("FINISHED", wait=1)
    assert tracker.left == 2  # the file, and the end of the run, which waits for it
    run = MlflowClient().get_run(tracker.run_id)
    assert run.info.status == "RUNNING"
    assert run.data.metrics == {"good": 1.0}
    tracker.settle()
    (home / "mlruns").unlink()
    (folder,) = leftovers.unsent_runs()
    sent = leftovers.send(folder, 20)
    assert (sent.sent, sent.left, sent.refused, sent.reason) == (2, 0, {}, "")
    run = MlflowClient().get_run(tracker.run_id)
    assert run.info.status == "FINISHED"
    assert artifacts(tracker.run_id) == ["notes.txt"]
    assert leftovers.unsent_runs() == []


def test_an_end_that_the_store_does_not_take_waits(store: str, home: Path) -> None:
    tracker = open_run()
    with sqlite3.connect(home / "mlflow.db") as database:
        refusal = "SELECT RAISE(ABORT, 'no more ends')"
        database.execute(f"CREATE TRIGGER t BEFORE UPDATE OF status ON runs BEGIN {refusal}; END")
    database.close()
    tracker.close("FINISHED", wait=1)
    assert tracker.left == 1
    assert "no more ends" in tracker.reason


def test_a_run_that_mlflow_opened_is_taken_over(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = MlflowClient()
    waiting = client.create_run("0", run_name="bold-cat-12").info.run_id
    client.log_param(waiting, "lr", "1e-3")
    client.log_param(waiting, "run_name", "")
    monkeypatch.setenv("MLFLOW_RUN_ID", waiting)
    tracker = open_run("cnn · digits", experiment="another")
    tracker.params({"lr": "0.001", "run_name": "none", "epochs": "2"})
    tracker.close("FINISHED")
    run = client.get_run(waiting)
    assert tracker.run_id == waiting
    assert tracker.left == 0
    assert run.data.params == {"lr": "1e-3", "run_name": "", "epochs": "2"}
    assert run.info.run_name == "cnn · digits"
    assert run.info.experiment_id == "0"
    assert len(client.search_runs(["0"])) == 1
    assert open_run().run_id != waiting  # it is taken over once


@pytest.mark.parametrize("name", ["my-run-12", "baseline", "bold-cat-x"])
def test_a_name_that_somebody_gave_is_kept(
    store: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    waiting = MlflowClient().create_run("0", run_name=name).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", waiting)
    tracker = open_run("cnn · digits")
    tracker.close("FINISHED")
    assert MlflowClient().get_run(waiting).info.run_name == name


def test_a_run_to_take_over_that_does_not_exist_is_an_error(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    with pytest.raises(MlrunError, match=r"tracking store sqlite:.*not found"):
        open_run()


def test_an_experiment_is_made_or_found_and_a_deleted_one_refused(store: str) -> None:
    first, second = open_run(experiment="new"), open_run(experiment="new")
    assert first.experiment_id == second.experiment_id != "0"
    for tracker in (first, second):
        tracker.close("FINISHED")
    MlflowClient().delete_experiment(first.experiment_id)
    with pytest.raises(MlrunError, match=r"experiment new \(ID \d+\) was deleted; restore it"):
        open_run(experiment="new")


def test_without_a_name_mlflow_s_own_experiment_is_taken(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "from-environment")
    tracker = open_run()
    tracker.close("KILLED")
    experiment = MlflowClient().get_experiment(tracker.experiment_id)
    assert experiment.name == "from-environment"
    assert MlflowClient().get_run(tracker.run_id).info.status == "KILLED"


@pytest.mark.parametrize("scheme", ["http", "postgresql", "mysql+pymysql"])
def test_a_server_that_is_not_there_is_named_without_its_password(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for driver in ("psycopg", "psycopg2", "pymysql"):  # which are not asked for anything
        monkeypatch.setitem(sys.modules, driver, ModuleType(driver))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(MlrunError) as caught:
        store_module.check(f"{scheme}://ann:secret@127.0.0.1:{port}/mlflow")
    message = str(caught.value)
    assert message.startswith(
        f"tracking server {scheme}://***@127.0.0.1:{port}/mlflow: it does not"
    )
    assert "secret" not in message
    assert "ann" not in message


def test_a_server_that_takes_calls_and_says_nothing_is_given_up_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(store_module, "PATIENCE", 0.3)
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        started = time.monotonic()
        with pytest.raises(MlrunError, match="no answer within"):
            store_module.check(f"http://127.0.0.1:{mute.getsockname()[1]}")
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("address", ["sqlite:////proc/no/x.db", "mysql+nodriver:///x", "foo://bar"])
def test_a_store_that_cannot_be_opened_is_one_line(
    home: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    with pytest.raises(MlrunError, match="tracking s"):
        open_run()
    with pytest.raises(MlrunError, match="tracking s"):
        opening.locate(None)


def test_a_file_needs_no_answer(tmp_path: Path) -> None:
    store_module.check(f"sqlite:///{tmp_path}/absent.db")


def test_links_open_the_right_pages() -> None:
    base = links.ui_base("https://ann:secret@example.org/mlflow/")
    assert base == "https://example.org/mlflow"
    assert links.ui_base("sqlite:///x.db") == "http://127.0.0.1:5000"
    assert links.run_link("b", "1", "r") == "b/#/experiments/1/runs/r"
    assert links.comparison_link("b", "1") == (
        "b/#/experiments/1/runs?workflowType=machine_learning&compareRunsMode=CHART"
    )


def test_the_next_free_port_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert port < free_port(port) <= port + 20


def test_the_chart_page_opens_on_the_pictures(store: str) -> None:
    tracker = open_run()
    assert "viewStateShareKey" not in tracker.comparison_link
    tracker.show({"weights-conv1": None}, 3)
    tracker.show({"weights-fc1": None, "weights-conv1": None}, 5)
    until(lambda: not tracker.journal.left())
    assert tracker.comparison_link.endswith("compareRunsMode=CHART&viewStateShareKey=mlrun")
    tracker.close("FINISHED")
    state = MlflowClient().get_experiment("0").tags["mlflow.sharedViewState.mlrun"]
    assert appearance.keys_of(state) == ["weights-fc1", "weights-conv1"]
    later = open_run()  # without pictures of its own
    later.close("FINISHED")
    assert later.comparison_link == tracker.comparison_link
    many = appearance.view_state([f"feature-maps-features.{n}.conv" for n in range(100)], 9)
    assert len(many) < 5000  # what a tag of an experiment can hold


def test_a_view_that_is_not_ours_is_replaced() -> None:
    for other in (None, "", "{}", "deflate;!!", "deflate;eJw=", '{"compareRunCharts": 3}'):
        assert appearance.keys_of(other) == []
