"""CPU threads: as many as a step is worth, a function of the settings."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from mlrun.preparing import threads
from mlrun.preparing.threads import multiplications, use_threads
from mlrun.settings import Settings

CPU = torch.device("cpu")


@pytest.fixture
def three() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def convolutional() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 16, 10))


def test_multiplications_are_those_of_the_formulas() -> None:
    convolution = 16 * (6 * 25 + 6)  # 4 × 4 places, weights and biases
    assert multiplications(convolutional(), (1, 8, 8)) == convolution + 96 * 10 + 10
    assert multiplications(nn.Flatten(), (1, 8, 8)) == 0


@pytest.mark.parametrize(("batch_size", "expected"), [(1, 1), (200, 2), (100_000, 3)])
def test_threads_grow_with_the_work_of_a_step(
    batch_size: int, expected: int, three: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        threads, "WORK_OF_A_THREAD", 100 * multiplications(convolutional(), (1, 8, 8))
    )
    use_threads(Settings(batch_size=batch_size), convolutional(), (1, 8, 8), CPU)
    assert torch.get_num_threads() == expected


def test_who_says_how_many_is_obeyed(three: None) -> None:
    use_threads(Settings(threads=5, batch_size=1), convolutional(), (1, 8, 8), CPU)
    assert torch.get_num_threads() == 3  # which is what `torch_settings` sets, not this


def test_a_model_whose_work_is_not_seen_gets_torch_s_own_number(three: None) -> None:
    use_threads(Settings(batch_size=1), nn.Flatten(), (1, 8, 8), CPU)
    assert torch.get_num_threads() == 3
