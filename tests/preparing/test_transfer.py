"""Starting from another run's best weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mlflow import MlflowClient
from runs import TRAINED

import mlrun
from mlrun.errors import MlrunError
from mlrun.preparing.prepared import prepare
from mlrun.preparing.transfer import start_from
from mlrun.preparing.weights import best_weights
from mlrun.record.logged import find_run
from mlrun.settings import Settings
from mlrun.settings.plan import make_plan
from mlrun.training.checkpoints import digest

CPU = torch.device("cpu")
OTHERS = """
import mlrun

def others(root, *, names: str = "0,1,2,3,4,5,6,7,8,9", size: int = 8):
    import torch

    classes = tuple(names.split(","))
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (60, 1, size, size), dtype=torch.uint8, generator=draw)
    return mlrun.ImageData((images, torch.arange(60) % len(classes)), classes)

def lazy(shape, classes):
    from torch import nn
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(classes))

@mlrun.hookimpl
def register_datasets(register):
    register(others)

@mlrun.hookimpl
def register_models(register):
    register(lazy)
"""


@pytest.fixture
def others(home: Path) -> dict[str, object]:
    """Settings with a data set whose classes can be chosen."""
    (home / "others.py").write_text(OTHERS)
    return {**TRAINED, "plugin": "others.py", "dataset": "others"}


def started(settings: dict[str, object]) -> tuple[dict[str, torch.Tensor], object]:
    """The model's tensors before the first step, and what they are said to come from."""
    plan = make_plan(Settings.parse(settings))
    prepared = prepare(plan, CPU)
    start = start_from(plan, prepared)
    return prepared.model.state_dict(), start


def test_a_run_starts_from_another_s_best_weights_and_says_so(finished: str) -> None:
    source = find_run(finished)
    weights = best_weights(source)
    assert source.best_epoch == weights.epoch > 0
    run = mlrun.train({**TRAINED, "init_from": finished[:8], "epochs": 0})
    at_the_start = MlflowClient().get_run(run.run_id).data
    assert at_the_start.metrics["test/accuracy"] == source.metrics["test/accuracy"]
    assert at_the_start.tags["mlrun.weights_sha256"] == digest(weights.model)
    assert at_the_start.tags["mlrun.init_from"] == f"{finished} sha256:{digest(weights.model)}"
    assert at_the_start.params["init_from"] == finished[:8]


def test_the_same_classes_take_every_tensor_buffers_too(finished: str) -> None:
    ours, start = started({**TRAINED, "init_from": finished})
    theirs = best_weights(find_run(finished)).model
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert any(name.endswith("running_mean") for name in ours)
    assert str(start) == f"started from run {finished}: {len(ours)} of {len(ours)} tensors"


@pytest.mark.parametrize("names", ["low,high,odd", "9,8,7,6,5,4,3,2,1,0"])
def test_other_classes_take_all_but_the_head(
    finished: str, others: dict[str, object], names: str
) -> None:
    settings = {**others, "dataset.names": names}
    ours, start = started({**settings, "init_from": finished})
    fresh, _ = started(settings)
    theirs = best_weights(find_run(finished)).model
    for name, tensor in ours.items():
        source = fresh if name.startswith("out.") else theirs
        assert torch.equal(tensor, source[name]), name
    assert not torch.equal(fresh["conv1.weight"], theirs["conv1.weight"])
    assert str(start).endswith(
        f"{len(ours) - 2} of {len(ours)} tensors; fresh: out.weight, out.bias"
    )


def test_a_draw_by_name_holds_for_the_head_that_stays_fresh_and_no_more(
    finished: str, others: dict[str, object]
) -> None:
    settings = {**others, "initialisation": "normal"}
    theirs = best_weights(find_run(finished)).model
    ours, _ = started({**settings, "init_from": finished})
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    other = {**settings, "dataset.names": "low,high,odd"}
    drawn, _ = started(other)
    ours, _ = started({**other, "init_from": finished})
    assert torch.equal(ours["conv1.weight"], theirs["conv1.weight"])
    assert torch.equal(ours["out.weight"], drawn["out.weight"])
    assert drawn["out.weight"].std().item() == pytest.approx(1, abs=0.2)


def test_lazy_layers_have_a_head_too(store: str, others: dict[str, object]) -> None:
    quick = {**others, "model": "lazy", "epochs": 1}
    quick = {name: value for name, value in quick.items() if not name.startswith("model.")}
    first = mlrun.train(quick).run_id
    ours, start = started({**quick, "dataset.names": "a,b", "init_from": first})
    theirs = best_weights(find_run(first)).model
    assert torch.equal(ours["1.weight"], theirs["1.weight"])
    assert str(start).endswith("2 of 4 tensors; fresh: 3.weight, 3.bias")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"model.channels": "8"}, r"conv1.weight is \(4, 1, 3, 3\) in run .* \(cnn\) but \(8, 1, "),
        ({"model.channels": "4,4"}, r"run .* has no conv2.weight, which is \(4, 4, 3, 3\) here; "),
        ({"model.batch_norm": False}, r"run .* has norm1.weight, \(4,\), which is not here; the m"),
        ({"init_from": "0123456"}, r"no run 0123456 in sqlite:///.*/mlflow.db; mlrun runs lists t"),
    ],
)
def test_weights_that_do_not_fit_are_one_line_and_no_run_is_opened(
    finished: str, changed: dict[str, object], message: str
) -> None:
    with pytest.raises(MlrunError, match=f"^init_from: {message}"):
        mlrun.train({**TRAINED, "init_from": finished, **changed})
    assert len(MlflowClient().search_runs(["0"])) == 1
