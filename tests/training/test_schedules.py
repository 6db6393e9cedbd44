"""Learning-rate schedules, against torch's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from small_training import evaluate_part, network, training
from torch import nn
from torch.optim import lr_scheduler

from mlrun.errors import MlrunError
from mlrun.settings import Settings
from mlrun.training.evaluation import Evaluation
from mlrun.training.optimisation.patience import Patience
from mlrun.training.optimisation.schedules import Schedule, make_schedule

STEPS, AN_EPOCH = 100, 10
Make = Callable[[torch.optim.Optimizer], Any]


def optimiser() -> torch.optim.SGD:
    groups = [{"params": [torch.zeros(1)], "lr": 0.1}, {"params": [torch.zeros(1)], "lr": 0.02}]
    return torch.optim.SGD(groups)


def schedule(steps: int = STEPS, **settings: object) -> Schedule:
    return make_schedule(
        optimiser(), Settings.parse(settings), steps=steps, steps_an_epoch=AN_EPOCH
    )


def ours(steps: int = STEPS, **settings: object) -> list[list[float]]:
    made, rates = schedule(steps, **settings), []
    for step in range(steps):
        made.set_rates(step)
        rates.append([group["lr"] for group in made.optimiser.param_groups])
    return rates


def theirs(make: Make, steps: int = STEPS) -> list[list[float]]:
    given = optimiser()
    scheduler, rates = make(given), []
    for _ in range(steps):
        rates.append([group["lr"] for group in given.param_groups])
        given.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize(
    ("settings", "make"),
    [
        ({}, lambda o: lr_scheduler.ConstantLR(o, 1.0)),
        ({"schedule": "cosine"}, lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS)),
        (
            {"schedule": "step", "schedule_every": 3, "schedule_factor": 0.5},
            lambda o: lr_scheduler.StepLR(o, 3 * AN_EPOCH, 0.5),
        ),
        (
            {"schedule": "one-cycle"},
            lambda o: lr_scheduler.OneCycleLR(
                o, max_lr=[0.1, 0.02], total_steps=STEPS + 1, cycle_momentum=False
            ),
        ),
        (
            {"warmup_epochs": 2},
            lambda o: lr_scheduler.LinearLR(o, 1 / 20, 1.0, total_iters=19),
        ),
    ],
    ids=["constant", "cosine", "step", "one-cycle", "warm-up"],
)
def test_a_schedule_is_torch_s(settings: dict[str, object], make: Make) -> None:
    steps = STEPS + (settings.get("schedule") == "one-cycle")
    for mine, torchs in zip(ours(steps, **settings), theirs(make, STEPS), strict=False):
        assert mine == pytest.approx(torchs, rel=1e-9, abs=1e-12)


def test_a_cosine_falls_to_zero_after_its_warm_up() -> None:
    rates = [rate for rate, _ in ours(schedule="cosine", warmup_epochs=2)]
    assert rates[:20] == pytest.approx([0.1 * (step + 1) / 20 for step in range(20)])
    rest = theirs(lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS - 20), STEPS - 20)
    assert rates[20:] == pytest.approx([rate for rate, _ in rest])


def test_a_falling_schedule_begins_when_the_warm_up_has_ended() -> None:
    settings = {"schedule": "step", "schedule_every": 2, "warmup_epochs": 4}
    rates = [rate for rate, _ in ours(10 * AN_EPOCH, **settings)]
    given = optimiser()
    warm_up = lr_scheduler.LinearLR(given, 1 / (4 * AN_EPOCH), 1.0, 4 * AN_EPOCH - 1)
    falls = lr_scheduler.StepLR(given, 2 * AN_EPOCH, 0.1)
    reference = lr_scheduler.SequentialLR(given, [warm_up, falls], [4 * AN_EPOCH])
    for rate in rates:
        assert rate == pytest.approx(given.param_groups[0]["lr"], rel=1e-9)
        given.step()
        reference.step()
    by_epoch = rates[AN_EPOCH - 1 :: AN_EPOCH]
    expected = [0.025, 0.05, 0.075, 0.1, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001]
    assert by_epoch == pytest.approx(expected)


@pytest.mark.parametrize(
    "settings", [{"schedule": "plateau", "schedule_patience": 0}, {"early_stopping": 1}]
)
def test_no_evaluation_in_the_warm_up_counts(settings: dict[str, object]) -> None:
    def worse(model: nn.Module, part: str) -> Evaluation:
        return replace(evaluate_part(model, part), loss=next(losses))

    losses = iter(float(number) for number in range(100))  # of train and val at the start, then val
    done = training(network(), epochs=5, warmup_epochs=3, **settings)
    done.evaluate = worse
    done.run()
    if "early_stopping" in settings:  # the third epoch is the first that counts
        assert (done.state.epoch, done.state.patience.waited) == (4, 1)
    else:
        rates = [row["lr"] for row in done.recorder.epochs]
        assert rates == pytest.approx([0.05 / 3, 0.1 / 3, 0.05, 0.05, 0.005])


@pytest.mark.parametrize(("monitor", "mode"), [("val/loss", "min"), ("val/accuracy", "max")])
def test_a_plateau_falls_when_torch_s_does(monitor: str, mode: str) -> None:
    drawn = torch.Generator().manual_seed(3)
    values = (torch.rand(40, generator=drawn) * 0.02 + 0.5).tolist()
    made = schedule(schedule="plateau", schedule_patience=2, monitor=monitor)
    given = optimiser()
    reference = lr_scheduler.ReduceLROnPlateau(given, mode=mode, patience=2, factor=0.1)
    falls = set()
    for step, value in enumerate(values):
        made.evaluated(value)
        reference.step(value)
        made.set_rates(step)
        rate = made.optimiser.param_groups[0]["lr"]
        assert rate == pytest.approx(max(given.param_groups[0]["lr"], rate * 1e-9), rel=1e-6)
        falls.add(rate)
        if len(falls) > 4:  # torch stops lowering at 1e-8
            break
    assert len(falls) > 3


def test_patience_ends_after_so_many_values_that_are_not_better() -> None:
    waits = Patience("val/accuracy", 2)
    assert [waits.exhausted(v) for v in (0.5, 0.4, 0.6, 0.6, 0.5)] == [False] * 4 + [True]
    forever = Patience("val/loss", 0)
    assert not any(forever.exhausted(v) for v in (1.0, 2.0, 3.0, 4.0))


def test_what_a_schedule_remembers_is_taken_up_again() -> None:
    first = schedule(schedule="plateau", schedule_patience=1)
    for value in (0.5, 0.6, 0.7, 0.8):
        first.evaluated(value)
    second = schedule(schedule="plateau", schedule_patience=1)
    second.load_state_dict(first.state_dict())
    assert second == Schedule(second.optimiser, second.factor, first.plateau, 0.1, first.scale)
    assert second.scale == pytest.approx(0.1)


def test_the_loop_sets_the_rate_of_each_step_and_reports_the_last() -> None:
    done = training(schedule="cosine", epochs=2).run()
    rates = [row["lr"] for row in done.recorder.epochs]
    expected = [0.05 * (1 + torch.cos(torch.tensor(torch.pi * s / 6)).item()) / 2 for s in (2, 5)]
    assert rates == pytest.approx(expected, rel=1e-5)


def test_a_warm_up_longer_than_the_training_is_an_error() -> None:
    with pytest.raises(MlrunError, match="warmup_epochs 3 is longer than the training, 2 epochs"):
        training(network(), warmup_epochs=3)
