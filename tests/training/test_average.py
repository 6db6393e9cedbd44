"""The running average of the weights, from its first step on, against a loop written out."""

from __future__ import annotations

import pytest
import torch
from small_training import Recorder, training
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mlrun.training.average import Average
from mlrun.training.checkpoints import digest
from mlrun.training.state import TrainingState
from mlrun.training.tally import Tally


@pytest.mark.parametrize(
    ("step", "decay"),
    [
        (1, 2 / 11),
        (2, 3 / 12),
        (3, 4 / 13),
        (10, 11 / 20),
        (79, 80 / 89),
        (80, 0.9),
        (81, 0.9),
        (1000, 0.9),
    ],
)
def test_the_decay_rises_until_it_is_the_one_asked_for(step: int, decay: float) -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    average = Average(model, 0.9)
    nn.init.ones_(model.weight)
    average.update(step)
    assert average.model.weight.item() == pytest.approx(1 - decay, rel=1e-5)


def test_each_step_of_a_training_is_averaged_as_a_plain_loop_does() -> None:
    class Watching(Recorder):
        def on_step_end(self, state: TrainingState, tally: Tally) -> None:
            weights.append(flat(state.model))
            averages.append(flat(state.evaluated))

    weights: list[Tensor] = []
    averages: list[Tensor] = []
    small = training(ema=0.5, epochs=4)
    expected = flat(small.state.model)
    small.recorder = Watching()
    small.run()
    rising = [2 / 11, 3 / 12, 4 / 13, 5 / 14, 6 / 15, 7 / 16, 8 / 17]
    decays = [*rising, 0.5, 0.5, 0.5, 0.5, 0.5]
    for decay, weight, average in zip(decays, weights, averages, strict=True):
        expected = decay * expected + (1 - decay) * weight
        torch.testing.assert_close(average, expected, rtol=1e-4, atol=1e-6)


def flat(model: nn.Module) -> Tensor:
    """All weights in a row, float64 copies."""
    return torch.cat([p.detach().double().flatten() for p in model.parameters()])


def test_a_running_average_of_the_weights_is_torch_s_after_its_first_steps() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    ours, theirs = Average(model, 0.9), AveragedModel(model, use_buffers=True)
    theirs.n_averaged += 1  # so that it averages from the first update
    for step in range(1, 200):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
        model(torch.randn(4, 3))
        decay = min(0.9, (1 + step) / (10 + step))
        theirs.multi_avg_fn = get_ema_multi_avg_fn(decay)
        theirs.update_parameters(model)
        ours.update(step)
    for a, b in zip(ours.model.parameters(), theirs.module.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    torch.testing.assert_close(ours.model[1].running_mean, theirs.module[1].running_mean)
    assert ours.model[1].num_batches_tracked == model[1].num_batches_tracked


def test_the_average_is_evaluated_and_the_weights_are_trained_as_ever() -> None:
    plain, average = training().run().state, training(ema=0.9).run().state
    assert digest(average.model.state_dict()) == digest(plain.model.state_dict())
    assert digest(average.evaluated.state_dict()) != digest(average.model.state_dict())
    assert plain.evaluated is plain.model
