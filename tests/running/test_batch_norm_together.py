"""Batch normalisation in several processes: over the images of all where that is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from several import trained_together
from test_together import assert_same

import mlrun

NORMED = '''
import mlrun
from torch import nn

class Normed(nn.Module):
    """In float64, so that rounding is told from faults; one of its layers is frozen."""

    def __init__(self, shape, classes):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(shape[0], 4, 3), nn.BatchNorm2d(4, momentum=0.3), nn.Tanh(), nn.Flatten(),
            nn.Linear(4 * 36, 12), nn.BatchNorm1d(12), nn.Tanh(), nn.Linear(12, classes),
        ).double()
        self.fixed = nn.BatchNorm2d(shape[0]).double().requires_grad_(False)

    def forward(self, images):
        return self.net(self.fixed(images.double()))

def normed(shape, classes):
    """A small network with batch normalisation, in float64."""
    return Normed(shape, classes)

@mlrun.hookimpl
def register_models(register):
    register(normed)
'''
SETTINGS: dict[str, object] = {
    "model": "normed",
    "subset": 60,
    "validation": "last:7",  # leaves 53 images: three steps of 8 and 8, and one of 5
    "batch-size": 8,
    "accumulate": 2,
    "epochs": 2,
    "lr": 0.01,
    "mixup": 0.4,
    "visualisers": "none",
    "evaluate-every": "1steps",
}


@pytest.fixture
def plugin(home: Path) -> Path:
    """A file with the model `normed`."""
    path = home / "normed.py"
    path.write_text(NORMED)
    return path


@pytest.mark.parametrize(
    ("processes", "changed"),
    [
        (2, {}),
        pytest.param(4, {"rotate": 9, "ema": 0.9}, id="4"),
        pytest.param(4, {"subset": 57}, id="one image a process at last"),
        pytest.param(4, {"subset": 58, "batch-size": 12}, id="3 images for 4"),
        pytest.param(3, {"subset": 61, "batch-size": 2}, id="never one for 3"),
    ],
)
@pytest.mark.slow
def test_synchronised_it_comes_to_the_losses_of_one_process(
    store: str, plugin: Path, processes: int, changed: dict[str, object]
) -> None:
    settings = {"plugin": str(plugin), **SETTINGS, "sync-batch-norm": "true", **changed}
    alone = mlrun.train(settings).run_id
    together = trained_together(processes, settings).stdout.strip()
    assert_same(together, alone, 1e-9)
