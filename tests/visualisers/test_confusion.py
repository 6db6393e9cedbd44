"""The confusion matrix by epoch: its counts, its scale, its legibility, and what it costs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from drawn import figures
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from mlflow import MlflowClient
from mlrun_visualisers.results.confusion import draw_matrix
from runs import QUICK
from sklearn.metrics import confusion_matrix
from views import convolutional, make_view

import mlrun
from mlrun import MlrunError
from mlrun.seam.registry import discover
from mlrun.training.evaluation import Evaluation
from mlrun.training.predictions import Predictions


def of(counts: np.ndarray, names: tuple[str, ...] = ()) -> Figure:
    """The picture of an evaluation with these counts."""
    table = torch.from_numpy(counts)
    rows, columns = np.indices(counts.shape)
    labels = torch.from_numpy(rows.repeat(counts.flatten()))
    predicted = torch.from_numpy(columns.repeat(counts.flatten()))
    logits = torch.zeros(len(labels), len(table)).scatter_(1, predicted[:, None], 1.0)
    arrays = (tensor.numpy() for tensor in (logits, labels, torch.arange(len(labels))))
    found = Evaluation(Predictions("val", *arrays), loss=1.0)
    view = make_view(convolutional())
    view.classes = names or tuple(f"class {number}" for number in range(len(counts)))
    figure = draw_matrix(view, found, "Blues").image
    assert isinstance(figure, Figure)
    return figure


def test_there_is_one_picture_a_part_of_what_scikit_learn_counts() -> None:
    view = make_view(convolutional())
    made = figures("confusion-by-epoch", view, parts=("train", "val"))
    assert list(made) == ["train", "val"]
    for part, figure in made.items():
        found = view.evaluation(part)
        expected = confusion_matrix(found.labels, found.predicted, labels=[0, 1, 2])
        image = figure.axes[0].images[0]
        assert np.array_equal(image.get_array(), expected)
        assert image.get_clim() == (0, expected.sum(1).max())
        assert figure.axes[0].get_title().startswith(f"{part}, epoch 2: accuracy 0.")


def test_the_size_of_the_counts_and_the_scale_do_not_depend_on_what_is_predicted() -> None:
    none_right, all_right = of(np.full((3, 3), 400)), of(np.eye(3, dtype=int) * 1200)
    for figure in (none_right, all_right):
        assert figure.axes[0].images[0].get_clim() == (0, 1200)
    sizes = {text.get_fontsize() for f in (none_right, all_right) for text in f.axes[0].texts}
    assert len(sizes) == 1


@pytest.mark.parametrize(("classes", "most"), [(2, 99999), (10, 6000), (26, 5000), (30, 10000)])
def test_each_count_fits_its_cell(classes: int, most: int) -> None:
    figure = of(np.eye(classes, dtype=int) * (most - 3) + np.eye(classes, k=1, dtype=int))
    renderer = FigureCanvasAgg(figure).get_renderer()
    axes = figure.axes[0]
    cell = axes.get_window_extent().width / classes
    assert len(axes.texts) == classes**2
    for text in axes.texts[: 2 * classes]:
        box = text.get_window_extent(renderer)
        assert box.width < cell
        assert box.height < cell
        assert text.get_fontsize() >= 6


def test_counts_are_written_light_on_dark_and_dark_on_bright() -> None:
    texts = of(np.array([[90, 10], [0, 100]])).axes[0].texts
    assert [text.get_color() for text in texts] == ["white", "black", "black", "white"]
    assert [text.get_alpha() for text in texts] == [1, 1, 0.35, 1]


def test_many_classes_are_drawn_without_counts_and_names() -> None:
    axes = of(np.eye(31, dtype=int)).axes[0]
    assert not axes.texts
    assert axes.get_xlabel() == "predicted (number of the class)"


def test_names_stand_on_both_axes() -> None:
    axes = of(np.eye(3, dtype=int), ("$a", "a rather long name of a class", "c")).axes[0]
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        first, second, third = (tick.get_text() for tick in ticks)
        assert (first, third) == ("$a", "c")
        assert second.startswith("a rat")


def test_the_test_part_is_refused_before_the_run(store: str) -> None:
    given = {**QUICK, "visualisers": "confusion-by-epoch"}
    with pytest.raises(MlrunError, match=r"confusion-by-epoch.parts: expected .*train\|val.*test"):
        mlrun.train({**given, "confusion-by-epoch.parts": "val,test"})
    with pytest.raises(MlrunError, match="parts is none; expected train, val or both"):
        list(
            discover()
            .find("visualiser", "confusion-by-epoch")
            .function(make_view(convolutional()), parts=())
        )


@pytest.mark.parametrize("whole", [True, False])
def test_no_part_is_evaluated_twice_in_an_epoch(
    store: str, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    import mlrun.preparing.prepared as preparation

    evaluate, evaluated = preparation.evaluate, []

    def counted(*args: object, part: str, **others: object) -> Evaluation:
        evaluated.append(part)
        return evaluate(*args, part=part, **others)

    monkeypatch.setattr(preparation, "evaluate", counted)
    given = {"visualisers": "confusion-by-epoch", "confusion-by-epoch.parts": "train,val"}
    run = mlrun.train({**QUICK, **given, "epochs": 3, "evaluate_every": 2, "evaluate_train": whole})
    assert run.failures == {}
    later = ["train", "val"] if whole else ["val", "train"]  # epochs 2 and 3
    assert evaluated == ["train", "val", *later, *later, "test"]
    images = MlflowClient().list_artifacts(run.run_id, "images")
    keys = {tuple(Path(image.path).name.split("+")[0:3:2]) for image in images}
    assert keys == {(f"confusion-by-epoch-{p}", s) for p in ("train", "val") for s in "023"}
