"""The servable model of a run: its best weights, logged to MLflow."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mlrun.preparing.prepared import Prepared
from mlrun.record.tracking import Tracker
from mlrun.training.servable import Servable


def log_servable(tracker: Tracker, prepared: Prepared, model: nn.Module) -> None:
    """Logs `model` with the run's normalisation; raises what its export raises."""
    servable = Servable(prepared.normalisation, model)
    example = example_batch(prepared)
    with torch.no_grad():
        output = servable(torch.from_numpy(example)).numpy()
    tracker.model(servable, example, output, servable_requirements())


def example_batch(prepared: Prepared) -> NDArray[np.float32]:
    """Returns two raw training images as the served model takes them, float32 (2, C, H, W).

    Two, because the export takes a batch of one for a fixed batch size.
    """
    images = prepared.data.train.images[:2].float()
    images = images if len(images) == 2 else images.repeat(2, 1, 1, 1)
    return np.asarray(images.numpy())


def servable_requirements() -> list[str]:
    """Returns what pip must install to serve the model."""
    return [f"{name}=={version(name)}" for name in ("mlflow", "torch", "numpy")]
