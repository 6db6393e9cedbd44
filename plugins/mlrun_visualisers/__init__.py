"""The first-party visualisers, a package for each subject.

The `__init__` of a package holds the signatures and help texts of its visualisers and imports
nothing heavy; the modules beside it draw, and are imported by a visualiser when it draws. No
module has the name of a visualiser: importing it would put it in the function's place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlrun import hookimpl
from mlrun_visualisers.attributions import activation_maximisation, grad_cam, saliency
from mlrun_visualisers.embeddings import embedding, embedding_by_epoch
from mlrun_visualisers.images import class_distribution, class_means, kernels, samples
from mlrun_visualisers.networks import feature_maps, layer_outputs, weight_statistics, weights
from mlrun_visualisers.results import (
    calibration,
    confusion_by_epoch,
    confusion_matrix,
    learning_curves,
    misclassified,
    robustness,
    top_losses,
)

CAPTUM = {"captum": "mlrun-vision[captum]"}


@hookimpl
def register_visualisers(register: Callable[..., Any]) -> None:
    """Registers the first-party visualisers."""
    register(weights, when="epoch")
    register(feature_maps, when="epoch")
    register(layer_outputs, when="epoch")
    register(weight_statistics, when="epoch")
    register(confusion_matrix)
    register(confusion_by_epoch, when="epoch")
    register(learning_curves)
    register(samples)
    register(misclassified)
    register(top_losses)
    register(calibration)
    register(robustness)
    register(class_distribution)
    register(class_means)
    register(kernels)
    register(embedding)
    register(embedding_by_epoch, when=("epoch", "end"))
    register(saliency, when="epoch", needs=CAPTUM)
    register(grad_cam, when="epoch", needs=CAPTUM)
    register(activation_maximisation)
