"""Each shipped recipe runs, on small files in the real formats, and shows what its authors did."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from math import isfinite
from pathlib import Path

import numpy as np
import pytest
import torch
from checkouts import checkout, mlflow_run
from data_files import drawn, load, write_idx, write_image, write_table
from runs import artifacts, logged, only_run, read, steps

import mlrun
from mlrun.finished.reproduce import reproduce
from mlrun.settings import recipes

LETTERS = [label for label in range(25) if label != 9]  # J and Z are movements
UNSEEN: dict[str, object] = {"visualisers": "none", "log_model": False}


@dataclass(frozen=True)
class Shown:
    """What the run of a recipe shows; names with spaces between, `*` for any text in them.

    pictures: keys in `images/`, each of which is there for every evaluated epoch.
    figures, tables, metrics, tags: what there is, and for every run besides the table
        `per-class`, and loss and accuracy of training and validation.
    outputs, parameters: of the model; parameters where systems.md or arithmetic says how many.
    above: a figure, and what it is higher than.
    changes: of the settings, as the size of the data demands; `{data}` is the folder.
    start: the recipe whose run this one starts from.
    """

    parameters: str
    pictures: str = ""
    figures: str = "confusion-matrix learning-curves"
    tables: str = ""
    tags: str = ""
    metrics: str = "test/accuracy"
    outputs: int = 10
    above: tuple[str, float] = ("val/accuracy", 0.5)
    changes: dict[str, object] = field(default_factory=dict)
    start: str = ""


BY_STEP = "test/accuracy step/loss step/train-accuracy step/val-accuracy"
MEANS = "class-means confusion-matrix learning-curves"
TWO = (
    "weights-conv1 weights-conv2 feature-maps-conv1 feature-maps-act1 feature-maps-conv2 "
    "feature-maps-act2"
)
TWO_OF_E = {"pictures": TWO, "figures": MEANS, "parameters": "20,490", "changes": {"epochs": 2}}
DENSE_OF_E = {"pictures": "weights-fc1", "figures": MEANS, "parameters": "397,510"}
COUNTS = "confusion-by-epoch-train confusion-by-epoch-val"
FIRST_LOOK = "class-distribution confusion-matrix learning-curves samples"
LETTER = {"outputs": 26, "metrics": ""}
WEIGHTS = {"model.weights": "{data}/alexnet.pth"}
SHOWN = {
    "digits": Shown(
        "6,090", f"{TWO} weight-statistics",
        figures="calibration confusion-matrix learning-curves robustness top-losses",
        tables="calibration-table robustness-table top-losses-table", changes={"epochs": 2}),
    "perceptron": Shown(
        "15,920", "weights-fc1", metrics="test/accuracy step/loss step/accuracy",
        changes={"epochs": 10}),
    "perceptron-deep": Shown(
        "16,800", "weights-fc1", metrics="test/accuracy step/loss step/accuracy",
        changes={"epochs": 10}),
    "learn-logistic": Shown("7,850", "weights-out", metrics=BY_STEP),
    "learn-mlp": Shown("23,860", "weights-fc1", metrics=BY_STEP),
    "learn-cnn": Shown(
        "4,266", "weights-conv1 weights-conv2 feature-maps-conv1 feature-maps-act1",
        metrics=BY_STEP, changes={"subset": "random:1000"}),
    "alexnet-maps": Shown(
        "57,012,034", "feature-maps-features.0 feature-maps-features.1 feature-maps-features.5",
        figures="", outputs=2, above=("val/accuracy", -1), changes=WEIGHTS),
    "alexnet-features": Shown(
        "3,649,730", figures="confusion-matrix embedding learning-curves misclassified",
        tables="embedding-table misclassified-table",
        metrics="test/accuracy frozen_seconds_saved", outputs=2, above=("train/accuracy", 0.6),
        changes={**WEIGHTS, "epochs": 3}),
    "lenet-fashion": Shown(
        "44,426", f"{TWO} feature-maps-act3 feature-maps-act4",
        figures="confusion-matrix embedding learning-curves samples", tables="embedding-table",
        metrics="test/accuracy test-rotated-25/accuracy epoch_seconds", changes={"epochs": 2}),
    "mlp-fashion": Shown(
        "222,360", "weights-fc1", figures="confusion-matrix embedding learning-curves samples",
        tables="embedding-table", metrics="test/accuracy test-rotated-25/accuracy epoch_seconds",
        changes={"epochs": 2}),
    "letters-logistic": Shown(
        "20,410", f"{COUNTS} weights-out", FIRST_LOOK, **LETTER,
        changes={"epochs": 1, "batch_size": 4}),
    "letters-convolution": Shown(
        "60,034", f"{COUNTS} weights-conv1 feature-maps-conv1 feature-maps-act1",
        f"{FIRST_LOOK} kernels", **LETTER, changes={"epochs": 1, "batch_size": 4}),
    "letters-deep": Shown(
        "107,098", f"{COUNTS} weights-conv1 weights-conv2 weights-conv3 layer-outputs", **LETTER,
        above=("val/accuracy", 0.25), changes={"epochs": 1, "batch_size": 2, "lr": 0.004}),
    "from-nothing": Shown(**DENSE_OF_E, above=("val/accuracy", 0)),
    "from-nothing-scaled": Shown(**DENSE_OF_E),
    "from-nothing-dropout": Shown(**DENSE_OF_E),
    "from-nothing-schedule": Shown(**DENSE_OF_E),
    "from-nothing-stopping": Shown(**DENSE_OF_E, tags="mlrun.stopped"),
    "from-nothing-convolutions": Shown(**TWO_OF_E),
    "from-nothing-rates": Shown(**TWO_OF_E, metrics="test/accuracy lr/conv1 lr/conv2"),
    "from-nothing-transfer": Shown(
        **TWO_OF_E, metrics="test/accuracy lr/conv1 lr/conv2", tags="mlrun.init_from",
        start="from-nothing-convolutions"),
    "from-nothing-resnet": Shown(
        "21,283,530", "weights-conv1 weights-layer* feature-maps-conv1 feature-maps-relu "
        "feature-maps-layer*", figures=MEANS, above=("train/accuracy", 0.5),
        changes={"epochs": 1, "subset": 300, "batch_size": 16}),
}  # fmt: skip


def write_digits(root: Path) -> None:
    """scikit-learn's digits as the IDX files of MNIST and Fashion-MNIST, and as mnist_png.

    Dimmed to the ink that MNIST has, for which the recipes have their rates. Every training image
    is in the IDX files twice, the second time shifted.
    """
    digits = load("digits", root, size=28)
    for prefix, folder in (("train", "training"), ("t10k", "testing")):
        part = digits.train if prefix == "train" else digits.test
        assert part is not None
        images, labels = part.images[:, 0].numpy() // 2, part.labels.numpy()
        for place in range(len(labels) * 2 // 3):
            path = root / "mnist_png" / folder / str(labels[place]) / f"{place}.png"
            write_image(path, images[place])
        if prefix == "train":
            images, labels = np.concatenate([images, np.roll(images, 1, 2)]), np.tile(labels, 2)
        for name in ("MNIST", "FashionMNIST"):
            write_idx(root / name / "raw" / f"{prefix}-images-idx3-ubyte", images)
            write_idx(root / name / "raw" / f"{prefix}-labels-idx1-ubyte", labels)


def write_letters(root: Path) -> None:
    """Sign Language MNIST's two files; a letter is a pattern of 4 × 4 squares under noise."""
    patterns = np.kron(drawn(26, 4, 4) // 128, np.ones((7, 7), np.uint8))
    for name, count in (("train", 80), ("test", 4)):
        labels = LETTERS * count
        noise = drawn(len(labels), 28, 28, seed=count) % 100
        pixels = (patterns[labels] * 155 + noise).reshape(len(labels), -1)
        write_table(root / f"sign_mnist_{name}.csv", labels, pixels)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data folder, with a file of AlexNet's weights, drawn at random, beside the data."""
    from torchvision.models import alexnet

    root = tmp_path_factory.mktemp("data")
    write_digits(root)
    write_letters(root)
    torch.manual_seed(0)
    torch.save(alexnet().state_dict(), root / "alexnet.pth")
    yield root
    shutil.rmtree(root)  # AlexNet's weights take 240 MB


@pytest.fixture
def room(store: str, home: Path) -> Iterator[None]:
    """A store whose artifacts are gone afterwards: checkpoints of large models, mostly."""
    yield
    shutil.rmtree(home / "mlruns", ignore_errors=True)


def settings_of(name: str, data: Path) -> dict[str, object]:
    """A recipe with its changes, and a run to start from where it takes one."""
    changes = {k: v.format(data=data) if isinstance(v, str) else v
               for k, v in SHOWN[name].changes.items()}  # fmt: skip
    if SHOWN[name].start:
        start = {**settings_of(SHOWN[name].start, data), **UNSEEN}
        changes["init_from"] = mlrun.train(start).run_id
    return {"recipe": name, "data_dir": str(data), **changes}


def pictures(run_id: str) -> dict[str, list[int]]:
    """The epochs of each key in `images/`."""
    found: dict[str, list[int]] = {}
    for name in artifacts(run_id, "images"):
        if name.endswith(".png"):
            key, _, epoch, *_ = name.split("+")
            found.setdefault(key, []).append(int(epoch))
    return {key: sorted(epochs) for key, epochs in found.items()}


def check(run: mlrun.Run, shown: Shown) -> None:
    """Holds a run against what it is to show."""
    assert run.failures == {}
    kept = logged(run.run_id)
    assert kept.info.status == "FINISHED"
    evaluated = steps(run.run_id, "val/loss")
    assert evaluated[0] == 0
    assert len(evaluated) > 1 or kept.data.params["epochs"] == "0"
    found, wanted = pictures(run.run_id), shown.pictures.split()
    assert [key for key in found if not any(fnmatch(key, name) for name in wanted)] == []
    assert [name for name in wanted if not any(fnmatch(key, name) for key in found)] == []
    assert {key: epochs for key, epochs in found.items() if epochs != evaluated} == {}
    assert artifacts(run.run_id, "figures") == sorted(f"{n}.png" for n in shown.figures.split())
    tables = [name for name in artifacts(run.run_id, "tables") if name.endswith(".json")]
    assert tables == sorted(f"{name}.json" for name in ["per-class", *shown.tables.split()])
    assert set(shown.tags.split()) <= set(kept.data.tags)
    for name in ["train/loss", "train/accuracy", "val/accuracy", *shown.metrics.split()]:
        assert isfinite(kept.data.metrics[name])
        if name.startswith("step/"):
            assert set(steps(run.run_id, "step/lr")) <= set(steps(run.run_id, name))
    figure, least = shown.above
    assert kept.data.metrics[figure] > least
    summary = read(run.run_id, "model-summary.txt").decode()
    assert f"\n{shown.parameters} parameters: " in summary
    assert re.findall(r" Linear +(\d+) ", summary)[-1] == str(shown.outputs)


def test_every_shipped_recipe_stands_in_the_table() -> None:
    assert sorted(SHOWN) == recipes.names()


def test_the_digits_run_and_show_what_they_should(room: None, home: Path) -> None:
    check(mlrun.train(settings_of("digits", home)), SHOWN["digits"])


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in recipes.names() if name != "digits"])
def test_each_recipe_runs_and_shows_what_its_authors_showed(
    name: str, room: None, data: Path
) -> None:
    check(mlrun.train(settings_of(name, data)), SHOWN[name])


@pytest.mark.slow
def test_the_digits_reproduce_themselves_with_all_their_pictures(room: None, home: Path) -> None:
    first = mlrun.train(settings_of("digits", home)).run_id
    again = reproduce(first)
    assert again.agreement.word == "identical"
    assert pictures(again.run.run_id) == pictures(first)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in recipes.names() if name != "digits"])
def test_each_recipe_reproduces_itself(name: str, room: None, data: Path) -> None:
    first = mlrun.train({**settings_of(name, data), **UNSEEN}).run_id
    assert reproduce(first).agreement.word == "identical"


@pytest.mark.slow
def test_mlflow_run_runs_a_published_system_by_name(room: None, home: Path, data: Path) -> None:
    done = mlflow_run(
        checkout(home / "project"), "recipe=perceptron", "epochs=1", f"data_dir={data}"
    )
    assert done.returncode == 0, done.stderr
    run = only_run()
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlrun.recipe"] == "perceptron"
    assert "failed:" not in done.stderr
    assert set(pictures(run.info.run_id)) == {"weights-fc1"}
