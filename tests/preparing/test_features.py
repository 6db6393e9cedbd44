"""What a frozen part makes of the images is computed once, and changes no figure."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow import MlflowClient
from runs import QUICK, TIMES, Recorder, logged, only_run, plugin, without

import mlrun
from mlrun.data.variants import Variant
from mlrun.finished.evaluate import EvaluationRequest, evaluate
from mlrun.machine.precision import Precision
from mlrun.preparing import features
from mlrun.training.frozen.cut import Cut

FIGURES = ("train/loss", "train/accuracy", "val/loss", "val/accuracy", "test/loss", "test/accuracy")
SMALL = {
    **without(QUICK, "model.widths"),
    "model": "torchvision",
    "model.arch": "squeezenet1_1",  # with dropout before its head
    "model.train": "head",
    "subset": 64,
    "epochs": 3,
}
MODEL = """
def counted(shape, classes, *, early: float = 0.0, frozen: bool = True, stop: bool = False):
    import signal
    from pathlib import Path
    from torch import nn

    class Counted(nn.Conv2d):
        def forward(self, images):
            with Path("calls.txt").open("a") as file:
                file.write(f"{len(images)}\\n")
            if stop and len(images) > 50:
                signal.raise_signal(signal.SIGINT)
            return super().forward(images)

    body = nn.Sequential(nn.Dropout(early), Counted(shape[0], 4, 3), nn.ReLU(inplace=True))
    head = nn.Sequential(
        nn.Flatten(), nn.Linear(144, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(16, classes),
    )
    body.requires_grad_(not frozen)
    model = nn.Sequential()
    model.body, model.head = body, head
    return model

@mlrun.hookimpl
def register_models(register):
    register(counted)
"""


@pytest.fixture
def quick(store: str, tmp_path: Path) -> dict[str, object]:
    """Settings of a quick run of a model whose frozen convolution writes down its calls."""
    given = {**without(QUICK, "model.widths"), "model": "counted", "subset": 200, "epochs": 3}
    return {**given, "plugin": plugin(tmp_path, MODEL)}


def curves(run: mlrun.Run) -> dict[str, list[float]]:
    client = MlflowClient()
    return {n: [m.value for m in client.get_metric_history(run.run_id, n)] for n in FIGURES}


def times(run: mlrun.Run) -> dict[str, float]:
    return {name: value for name, value in run.metrics.items() if name in TIMES}


def cut_of(run: mlrun.Run) -> str | None:
    text: str | None = logged(run.run_id).data.tags.get("mlrun.frozen_features")
    return text


def assert_same_figures(settings: dict[str, object], cut: str) -> None:
    cached = mlrun.train(settings)
    plain = mlrun.train({**settings, "cache_features": False})
    assert (cut_of(cached), cut_of(plain)) == (cut, None)
    theirs = curves(plain)
    for name, values in curves(cached).items():
        assert values == pytest.approx(theirs[name], rel=1e-4), name
    assert len(theirs["val/loss"]) > 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changed", "cut"),
    [
        ({"model.arch": "mobilenet_v3_small"}, "after classifier.1, 1,024 numbers an image"),
        (
            {"model.train": "features.12,head", "ema": 0.9, "evaluate_train": True, "lr": 1e-4},
            "after features.11, 512 numbers an image",
        ),
    ],
)
def test_figures_are_the_same_for_networks_of_torchvision(
    store: str, changed: dict[str, object], cut: str
) -> None:
    assert_same_figures({**SMALL, **changed}, cut)


@pytest.mark.parametrize(
    "changed",
    [
        {"ema": 0.9, "evaluate_train": True, "evaluate_every": "5steps", "epochs": 2},
        {"accumulate": 2, "drop_last": True, "clip_norm": 0.1, "steps": 8},
        {"precision": "bf16", "shuffle": False, "class_weights": "balanced"},
        {"reduction": "sum", "optimiser": "sgd", "lr": 1e-3, "initialisation": "orthogonal"},
        {"schedule": "plateau", "schedule_patience": 0, "deterministic": True, "epochs": 3},
    ],
)
def test_figures_are_the_same_under_other_settings(
    quick: dict[str, object], changed: dict[str, object]
) -> None:
    assert_same_figures({**quick, **changed}, "before head, 144 numbers an image")


def test_figures_are_the_same_of_a_part_frozen_by_its_rate_and_a_loss_of_its_own(
    store: str,
) -> None:
    given = {**without(QUICK, "model.widths"), "model": "cnn", "subset": 200, "epochs": 3}
    given |= {"model.batch_norm": True, "model.dropout": 0.2, "model.loss": "softmax-nll"}
    settings = {**given, "part_lrs": "conv1=0,norm1=0,out=0.01", "reduction": "sum", "lr": 1e-4}
    assert_same_figures(settings, "after pool1, 256 numbers an image")


def test_what_a_run_says_of_its_weights_is_found_again_afterwards(store: str) -> None:
    given = {**without(QUICK, "model.widths"), "model": "cnn", "subset": 200, "probe": "china"}
    given |= {"model.batch_norm": True, "ema": 0.9, "initialisation": "kaiming-normal"}
    run = mlrun.train({**given, "part_lrs": "conv*=0,norm*=0", "test_variants": "noise=0.1"})
    assert cut_of(run) == "before out, 128 numbers an image"
    for name, variant in (("test", Variant()), ("test-noised-0.1", Variant(noise=0.1))):
        found = evaluate(run.run_id, EvaluationRequest(variant=variant, name=f"again-{name}"))
        assert found.fresh
        assert found.loss == pytest.approx(run.metrics[f"{name}/loss"], rel=1e-5)


def test_the_frozen_part_sees_each_image_once(quick: dict[str, object], home: Path) -> None:
    def seen(settings: dict[str, object]) -> int:
        Path("calls.txt").unlink(missing_ok=True)
        mlrun.train({**quick, **settings})
        sizes = map(int, Path("calls.txt").read_text().split())
        return sum(size for size in sizes if size > features.TRIED)

    tested = 360
    assert seen({"epochs": 6, "evaluate_train": True, "ema": 0.9}) == 200 + tested
    assert seen({"cache_features": False}) == 200 + 3 * 200 + tested
    assert seen({"epochs": 0}) == 200 + tested


def test_what_is_saved_is_told_and_logged(
    quick: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Recorder()
    run = mlrun.train(quick, progress=told)
    first = "features of the frozen part (before head, 144 numbers an image) of 200 images computed"
    (line,) = [line for line in told.lines if line.startswith(first)]
    spent = float(line.removeprefix(f"{first} once in ").removesuffix(" s"))
    (line,) = [line for line in told.lines if line.startswith("the frozen part")]
    start = "the frozen part went over the images once, not 4.0 times: "
    saved = float(line.removeprefix(start).removesuffix(" s saved"))
    (metric,) = MlflowClient().get_metric_history(run.run_id, "frozen_seconds_saved")
    assert metric.step == 3
    assert max(0.0, metric.value) == pytest.approx(saved, abs=0.06)
    assert metric.value > -spent - 0.1


def test_the_seconds_saved_are_those_of_the_passes_less_those_spent() -> None:
    found = features.Features(
        cut=Cut("head"),
        precision=Precision("32", "cpu"),
        parts={},
        numbers=1,
        images=100,
        seconds=2.0,
        spent=3.0,
        served=650,
    )
    assert found.saved == 6.5 * 2.0 - 3.0
    found.served = 100
    assert found.summary.endswith("not 1.0 times: 0.0 s saved")  # and no less than none


@pytest.mark.parametrize(
    "changed",
    [
        {"model.frozen": False},
        {"model.frozen": False, "part_lrs": "head=0"},
        {"model.early": 0.1},
        {"rotate": 5},
        {"mixup": 0.2},
        {"epochs": 0},
    ],
)
def test_the_images_are_trained_on_where_features_would_not_do(
    quick: dict[str, object], changed: dict[str, object]
) -> None:
    told = Recorder()
    run = mlrun.train({**quick, "epochs": 1, **changed}, progress=told)
    assert cut_of(run) is None
    assert "frozen_seconds_saved" not in logged(run.run_id).data.metrics
    said = [line for line in told.lines if line.startswith("the frozen part")]
    expected = ["the frozen part is computed in every epoch: what it makes of an image is not "]
    assert [line[: len(expected[0])] for line in said] == expected * ("model.early" in changed)


def test_features_that_take_too_much_room_are_not_kept(
    quick: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 200 * 144 * 4
    monkeypatch.setattr(features, "FEATURES_AT_MOST", size)
    assert cut_of(mlrun.train(quick)) is not None
    monkeypatch.setattr(features, "FEATURES_AT_MOST", size - 1)
    told = Recorder()
    assert cut_of(mlrun.train(quick, progress=told)) is None
    (line,) = [line for line in told.lines if "frozen" in line]
    assert line.startswith("the frozen part is computed in every epoch: the features before head ")


def test_a_run_that_is_interrupted_while_they_are_computed_ends_killed(
    quick: dict[str, object],
) -> None:
    with pytest.raises(KeyboardInterrupt):
        mlrun.train({**quick, "model.stop": True})
    assert only_run().info.status == "KILLED"


def test_pictures_and_the_test_are_made_from_the_images(
    quick: dict[str, object], tmp_path: Path
) -> None:
    code = """
def ruin(view):
    import numpy as np, torch
    known = view.predictions.loss
    with torch.no_grad():
        view.model.body[1].weight.zero_()
    assert abs(view.evaluation("train").loss - known) > 1e-3
    return np.zeros((9, 9, 3), dtype="uint8")

@mlrun.hookimpl
def register_visualisers(register):
    register(ruin, when="epoch")
"""
    path = tmp_path / "ruin.py"
    path.write_text(f"import mlrun\n{code}")
    drawn = {"visualisers": "ruin", "plugin": f"{quick['plugin']},{path}"}
    run = mlrun.train({**quick, **drawn})
    assert run.failures == {}
    assert run.metrics["test/loss"] == pytest.approx(mlrun.train(quick).metrics["test/loss"])


DIGITS = """
def grouped(root, *, size: int = 1):
    from mlrun_datasets.embedded import load_digits
    data = load_digits()
    train, test = ((part.images, part.labels // size) for part in (data.train, data.test))
    return mlrun.ImageData(train, [f"group {n}" for n in range(10 // size)], test=test)

def narrow(shape, classes, *, frozen: bool = False):
    from torch import nn
    body = nn.Sequential(
        nn.Conv2d(1, 16, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(144, 8), nn.Tanh()
    )
    body.requires_grad_(not frozen)
    model = nn.Sequential()
    model.body, model.head = body, nn.Linear(8, classes)
    return model

@mlrun.hookimpl
def register_datasets(register):
    register(grouped)

@mlrun.hookimpl
def register_models(register):
    register(narrow)
"""


def test_features_of_another_run_s_weights_are_better_than_random_ones(
    store: str, tmp_path: Path
) -> None:
    given = {**without(QUICK, "model.widths"), "model": "narrow", "dataset": "grouped", "lr": 0.01}
    given |= {"plugin": plugin(tmp_path, DIGITS), "epochs": 6}
    source = mlrun.train(given)
    assert source.metrics["test/accuracy"] > 0.95
    given |= {"model.frozen": True, "dataset.size": 2}
    random = mlrun.train(given)
    learned = mlrun.train({**given, "init_from": source.run_id})
    plain = mlrun.train({**given, "init_from": source.run_id, "cache_features": False})
    assert cut_of(random) == cut_of(learned) == "before head, 8 numbers an image"
    assert cut_of(plain) is None
    assert learned.metrics == pytest.approx({**plain.metrics, **times(learned)}, rel=1e-4)
    assert learned.metrics["test/accuracy"] > 0.8  # 0.91; random 0.52
    assert learned.metrics["test/accuracy"] > random.metrics["test/accuracy"] + 0.2


def test_features_are_of_the_weights_that_are_given(store: str, home: Path) -> None:
    source = mlrun.train({**SMALL, "model.train": "all", "epochs": 2})
    before = curves(source)["val/loss"][source.best_epoch]
    started = mlrun.train({**SMALL, "init_from": source.run_id})
    name = f"checkpoints/epoch-{source.best_epoch}.pt"
    path = MlflowClient().download_artifacts(source.run_id, name, str(home))
    loaded = mlrun.train({**SMALL, "model.weights": path})
    for run in (started, loaded):
        assert cut_of(run) == "after features, 512 numbers an image"
        assert curves(run)["val/loss"][0] == pytest.approx(before, rel=1e-5)
    assert curves(mlrun.train(SMALL))["val/loss"][0] != pytest.approx(before, rel=1e-4)
