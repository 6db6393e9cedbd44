"""Tables: what a visualiser may yield, and what MLflow gets of it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
import torch
from drawn import drawn_by
from mlflow import MlflowClient
from PIL import Image
from sklearn.metrics import classification_report, top_k_accuracy_score
from views import convolutional, make_view

import mlrun
from mlrun import MlrunError
from mlrun.inside.drawing.draw import draw
from mlrun.record.per_class import per_class, with_dashes
from mlrun.record.tables import LONGEST_TAG, checked, table_events, with_table
from mlrun.training.evaluation import Evaluation
from mlrun.training.predictions import Predictions

SMALL = np.arange(75, dtype=np.uint8).reshape(5, 5, 3)
LARGE = np.zeros((450, 600, 3), dtype=np.uint8)


@pytest.mark.filterwarnings("ignore:For backward compatibility")  # MLflow's use of pandas
def test_a_table_is_what_mlflow_s_own_log_table_would_have_written(
    store: str, tmp_path: Path
) -> None:
    cells = {"name": ["a", "b"], "share": [0.25, float("nan")], "n": [1, 2], "ok": [True, False]}
    client = MlflowClient()
    run_id = client.create_run("0").info.run_id
    theirs = {**cells, "image": [mlflow.Image(SMALL), mlflow.Image(SMALL)]}
    client.log_table(run_id, theirs, "tables/mine.json")
    written = json.loads(
        Path(client.download_artifacts(run_id, "tables/mine.json", tmp_path)).read_text()
    )
    events = table_events("mine", checked({**cells, "image": [SMALL, SMALL]}))
    ours = json.loads(events[-1].value)
    assert ours["columns"] == written["columns"]
    for our_row, their_row in zip(ours["data"], written["data"], strict=True):
        assert our_row[:-1] == their_row[:-1]
        assert our_row[-1].keys() == their_row[-1].keys()
        assert our_row[-1]["type"] == their_row[-1]["type"] == "image"
    tag = client.get_run(run_id).data.tags["mlflow.loggedArtifacts"]
    assert json.loads(with_table("[]", "mine")) == json.loads(tag)


def test_images_lie_beside_the_table_under_fixed_names_and_large_ones_have_a_small_copy() -> None:
    table = checked({"image": [SMALL, LARGE], "n": [1, 2]})
    events = table_events("mine", table)
    assert [event.name for event in events] == [
        "tables/mine/1-1.png",
        "tables/mine/1-2.png",
        "tables/mine/1-2-small.webp",
        "tables/mine.json",
    ]
    assert {event.name for event in table_events("mine", table)} == {e.name for e in events}
    stored = [np.asarray(Image.open(io.BytesIO(event.value))) for event in events[:3]]
    assert np.array_equal(stored[0], SMALL)
    assert np.array_equal(stored[1], LARGE)
    assert stored[2].shape == (315, 420, 3)
    paths = [row[0] for row in json.loads(events[-1].value)["data"]]
    assert paths[0]["filepath"] == paths[0]["compressed_filepath"] == events[0].name
    assert [paths[1][k] for k in ("filepath", "compressed_filepath")] == [
        e.name for e in events[1:3]
    ]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "a table has no columns"),
        ({"a": [1], "b": [1, 2]}, "the columns of a table differ in length: a 1, b 2"),
        ({1: [1]}, "a table's column is named 1; expected a text"),
        ({"a": "text"}, "column a is str; expected a list of cells"),
        ({"a": 3}, "column a is int; expected a list of cells"),
        ({"a": [1, object()]}, "column a, row 1: object; expected a text, a number"),
        ({"a": [torch.ones(2)]}, "column a, row 0: Tensor; expected"),
        ({"a": [LARGE.astype(float)]}, r"row 0: an array float64 \(450, 600, 3\); expected"),
        ({"a": [SMALL[..., 0]]}, r"row 0: an array uint8 \(5, 5\); expected"),
        ({"a": [SMALL, None]}, "column a has 1 images among 2 cells; expected all or none"),
    ],
)
def test_what_cannot_be_shown_is_refused(table: Any, message: str) -> None:
    with pytest.raises(MlrunError, match=message):
        draw(lambda view: table, "mine", {}, make_view(convolutional()))


def test_cells_are_copied_and_made_plain() -> None:
    given = {"a": [np.float32(0.5), np.int64(3), None], "image": [SMALL.copy() for _ in range(3)]}
    found: Any = drawn_by(lambda view: [("t", given)], "mine", make_view(convolutional()))
    given["image"][0][:] = 0
    table = found["mine-t"]
    assert table["a"] == [0.5, 3, None]
    assert [type(cell) for cell in table["a"]] == [float, int, type(None)]
    assert np.array_equal(table["image"][0], SMALL)


def test_the_tag_lists_each_table_once_and_stays_readable() -> None:
    tag = with_table(with_table("[]", "one"), "two")
    assert with_table(tag, "one") == tag
    assert [entry["path"] for entry in json.loads(tag)] == ["tables/one.json", "tables/two.json"]
    for number in range(200):
        tag = with_table(tag, f"table-{number}")
    assert len(tag) <= LONGEST_TAG
    assert len(json.loads(tag)) > 50


PLUGIN = """
import mlrun
import numpy as np

def tables(view):
    yield "a", {"image": [np.zeros((4, 4, 3), dtype="uint8")], "n": [1]}
    yield "b", {"n": [float("inf")]}

def too_often(view):
    return {"n": [view.epoch]}

@mlrun.hookimpl
def register_visualisers(register):
    register(tables)
    register(too_often, when="epoch")
"""


def test_a_visualiser_s_tables_are_logged_at_the_end_only(store: str, tmp_path: Path) -> None:
    (tmp_path / "tabled.py").write_text(PLUGIN)
    settings = {"model": "logistic", "epochs": 1, "log_model": False, "device": "cpu"}
    plugin = {"plugin": str(tmp_path / "tabled.py"), "visualisers": "tables,too-often,weights"}
    run = mlrun.train({**settings, **plugin})
    assert run.failures == {
        "visualiser too-often": 'at epoch 0: it drew a table; tables are for when="end"'
    }
    client = MlflowClient()
    names = [file.path for file in client.list_artifacts(run.run_id, "tables")]
    assert names == [
        "tables/per-class.json",
        "tables/tables-a",
        "tables/tables-a.json",
        "tables/tables-b.json",
    ]
    assert [f.path for f in client.list_artifacts(run.run_id, "tables/tables-a")] == [
        "tables/tables-a/1-1.png"
    ]
    tag = json.loads(client.get_run(run.run_id).data.tags["mlflow.loggedArtifacts"])
    assert [entry["path"] for entry in tag] == [name for name in names if "." in name]
    read = mlflow.artifacts.load_dict(f"runs:/{run.run_id}/tables/tables-b.json")
    assert read == {"columns": ["n"], "data": [[None]]}
    images = [Path(file.path).name for file in client.list_artifacts(run.run_id, "images")]
    assert all(name.startswith("weights-") for name in images)


def evaluation(classes: int, count: int = 400) -> Evaluation:
    drawn = torch.Generator().manual_seed(0)
    labels = torch.randint(0, classes - 1, (count,), generator=drawn)  # the last has no image
    logits = torch.randn(count, classes, generator=drawn)
    logits[torch.arange(count), labels] += 1.5
    logits[:, 0] = -100.0  # the first is never predicted
    arrays = (tensor.numpy() for tensor in (logits, labels, torch.arange(count)))
    return Evaluation(Predictions("test", *arrays), loss=0.0)


@pytest.mark.parametrize("classes", [3, 12])
def test_the_table_per_class_is_scikit_learn_s_report(classes: int) -> None:
    found = evaluation(classes)
    names = [f"class {number}" for number in range(classes)]
    report = classification_report(
        found.labels, found.predicted, labels=range(classes), target_names=names,
        output_dict=True, zero_division=np.nan,
    )  # fmt: skip
    table = per_class(found.arrays, names)
    assert table["class"] == names
    for column, theirs in zip(
        ("precision", "recall", "f1", "support"),
        ("precision", "recall", "f1-score", "support"),
        strict=True,
    ):
        figures = [report[name][theirs] for name in names]
        assert table[column] == [None if np.isnan(x) else round(x, 4) for x in figures]
    assert (table["precision"][0], table["recall"][0], table["f1"][0]) == (None, 0, 0)
    assert (table["support"][-1], table["recall"][-1]) == (0, None)
    assert with_dashes(table)["recall"] == [*table["recall"][:-1], "–"]


def test_top_5_is_scikit_learn_s_and_none_of_ten_classes() -> None:
    found = evaluation(12)
    theirs = top_k_accuracy_score(found.labels, found.logits, k=5, labels=range(12))
    assert found.top5 == pytest.approx(theirs)
    assert 0.5 < theirs < 1
    assert evaluation(11).top5 is not None
    assert evaluation(10).top5 is None
