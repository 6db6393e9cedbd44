"""Learning rates by part of the network, against torch's own parameter groups."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from mlflow import MlflowClient
from runs import QUICK, logged, plugin, without
from small_training import batches, network, training
from torch import Tensor, nn

import mlrun
from mlrun.errors import MlrunError
from mlrun.training.checkpoints import digest

STEPS = 6  # two epochs of three
OPTIMISERS = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
}


def named() -> nn.Module:
    """The small network with a convolution, and names: conv, features.0, features.1, out."""

    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 3)
            self.features = nn.Sequential(nn.BatchNorm1d(8), nn.Linear(8, 8))
            self.out = nn.Linear(8, 3)

        def forward(self, images: Tensor) -> Tensor:
            return self.out(self.features(self.conv(images).relu().flatten(1)).tanh())

    torch.manual_seed(0)
    return Named()


def by_hand(optimiser: torch.optim.Optimizer, model: nn.Module) -> None:
    """Two epochs with a cosine schedule of torch's."""
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    for epoch in (1, 2):
        for images, labels in batches().epoch(epoch):
            optimiser.zero_grad()
            F.cross_entropy(model(images), labels).backward()
            optimiser.step()
            schedule.step()


def assert_same_weights(ours: nn.Module, theirs: nn.Module) -> None:
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_each_part_trains_at_its_rate_and_the_rest_at_lr(optimiser: str) -> None:
    given = {"optimiser": optimiser, "lr": 0.01, "weight_decay": 0.1, "schedule": "cosine"}
    done = training(named(), part_lrs="features.1.b*=0.02,features=0.005,c?nv=0.001", **given)
    model = named()
    groups = [
        {"params": [model.features[1].bias], "lr": 0.02},
        {"params": [*model.features[0].parameters(), model.features[1].weight], "lr": 0.005},
        {"params": model.conv.parameters(), "lr": 0.001},
        {"params": model.out.parameters()},
    ]
    by_hand(OPTIMISERS[optimiser](groups, lr=0.01, weight_decay=0.1), model)
    assert_same_weights(done.run().state.model, model)
    factor = (1 + math.cos(math.pi * (STEPS - 1) / STEPS)) / 2
    rates = {name: v for name, v in done.recorder.epochs[1].items() if name.startswith("lr")}
    expected = {"lr": 0.01, "lr/features.1.b_": 0.02, "lr/features": 0.005, "lr/c_nv": 0.001}
    assert rates == pytest.approx({name: rate * factor for name, rate in expected.items()})


@pytest.mark.parametrize("precision", ["32", "16"])
@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_lr_stays_that_of_the_settings_where_no_parameter_is_left_for_it(
    optimiser: str, precision: str
) -> None:
    given = {"optimiser": optimiser, "lr": 0.5, "weight_decay": 0.1, "schedule": "cosine"}
    given |= {"precision": precision, "clip_norm": 100}
    done = training(named(), part_lrs={"out": 0.01, "*": 0.001}, **given).run()
    if precision == "32":
        model = named()
        rest = [*model.conv.parameters(), *model.features.parameters()]
        groups = [{"params": model.out.parameters(), "lr": 0.01}, {"params": rest}]
        by_hand(OPTIMISERS[optimiser](groups, lr=0.001, weight_decay=0.1), model)
        assert_same_weights(done.state.model, model)
    factors = [(1 + math.cos(math.pi * step / STEPS)) / 2 for step in (2, 5)]
    assert [row["lr"] for row in done.recorder.epochs] == pytest.approx([0.5 * f for f in factors])
    assert done.recorder.epochs[1]["lr/_"] == pytest.approx(0.001 * factors[1])


def test_a_rate_of_0_freezes_the_part_and_its_statistics() -> None:
    done = training(named(), part_lrs="features=0", weight_decay=0.1, epochs=1).run()
    before, after = named().state_dict(), done.state.model.state_dict()
    same = {name for name, tensor in after.items() if torch.equal(tensor, before[name])}
    assert same == {name for name in before if name.startswith("features.")}
    frozen = [n for n, p in done.state.model.named_parameters() if not p.requires_grad]
    assert {name.partition(".")[0] for name in frozen} == {"features"}
    assert done.recorder.epochs[0]["lr/features"] == 0


def test_patterns_that_mlflow_reads_alike_keep_their_own_metric() -> None:
    model = nn.Sequential()
    for name in ("fc1", "fc10"):
        model.add_module(name, nn.Linear(2, 2))
    state = training(model, part_lrs="fc?=0.1,fc*=0.2", lr=0.3).state
    assert state.schedule.figures() == {"lr": 0.3, "lr/fc_": 0.1, "lr/fc__": 0.2}


def failure(**settings: object) -> MlrunError:
    with pytest.raises(MlrunError) as caught:
        training(named(), **settings)
    assert "\n" not in str(caught.value)
    return caught.value


def test_what_cannot_be_is_one_line() -> None:
    assert str(failure(part_lrs="feature=0.1")) == (
        "part_lrs feature: no layer has that name; expected names with * of conv, features, out "
        "and the layers inside them, as model-summary.txt lists them"
    )
    assert str(failure(part_lrs="features=0.1,features.0=0.2")) == (
        "part_lrs features.0: names before it match all that it matches; put it first"
    )
    model = named()
    model.conv.requires_grad_(False)
    with pytest.raises(MlrunError, match="part_lrs conv: the model has frozen all of it, so no"):
        training(model, part_lrs="conv=0.1")
    training(model, part_lrs="conv=0,out=0.1")


def test_a_model_with_groups_of_its_own_takes_no_rates_by_part() -> None:
    class Own(nn.Sequential):
        def parameter_groups(self, lr: float) -> list[dict[str, object]]:
            return [{"params": list(self.parameters())}]

    training(Own(*network()))
    with pytest.raises(MlrunError, match=r"it has parameter_groups\(lr\) of its own, .* part_lrs"):
        training(Own(*network()), part_lrs="1=0.1")


def test_where_all_is_frozen_there_is_nothing_to_train_but_it_can_be_looked_at(store: str) -> None:
    with pytest.raises(MlrunError, match="model mlp: it has no parameter that is trained, and is"):
        mlrun.train({**QUICK, "part_lrs": "*=0"})
    run = mlrun.train({**QUICK, "part_lrs": "*=0", "epochs": 0})
    assert run.best_epoch == 0
    assert run.metrics["test/loss"] > 0


def test_a_tied_parameter_is_found_under_each_of_its_names() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 3))
    model[2].weight = model[1].weight
    state = training(model, part_lrs="2=0.1").state
    assert [len(group["params"]) for group in state.optimiser.param_groups] == [3, 2]


def test_training_by_part_is_taken_up_again_bit_for_bit() -> None:
    settings = {"part_lrs": "features=0.01,conv=0", "optimiser": "adam", "schedule": "cosine"}
    whole = training(named(), **settings).run()
    first = training(named(), **settings).run(steps=3)
    second = training(named(), **settings)
    second.state.load_state_dict(first.state.state_dict())
    second.run()
    ours, theirs = (one.state.model.state_dict() for one in (second, whole))
    assert digest(ours) == digest(theirs)


def test_each_part_s_rate_is_a_metric_of_the_run(store: str) -> None:
    run = mlrun.train({**QUICK, "part_lrs": "fc*=0.01,out.bias=0", "epochs": 2})
    history = MlflowClient().get_metric_history(run.run_id, "lr/fc_")
    assert [(metric.step, metric.value) for metric in history] == [(1, 0.01), (2, 0.01)]
    assert logged(run.run_id).data.metrics["lr/out.bias"] == 0
    assert logged(run.run_id).data.metrics["lr"] == 0.001
    assert logged(run.run_id).data.params["part_lrs"] == "fc*=0.01,out.bias=0"


def test_frozen_batch_normalisation_takes_a_last_batch_of_one_image(
    store: str, tmp_path: Path
) -> None:
    code = """
def normed(shape, classes):
    from torch import nn
    return nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, classes))

@mlrun.hookimpl
def register_models(register):
    register(normed)
"""
    given = {**without(QUICK, "model.widths"), "model": "normed", "plugin": plugin(tmp_path, code)}
    given |= {"validation": "last:100", "subset": 141, "batch_size": 8}
    for size in (8, 1):
        with pytest.raises(MlrunError, match=f"batch_size {size} leaves a last batch of one image"):
            mlrun.train({**given, "batch_size": size})
    assert mlrun.train({**given, "part_lrs": "1=0"}).metrics["train/loss"] > 0
