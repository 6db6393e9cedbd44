"""The view that a visualiser gets of a run."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from mlrun.inside.sandbox import detached_copy
from mlrun.inside.view import View
from mlrun.preparing.prepared import Prepared
from mlrun.training.evaluation import Evaluation
from mlrun.training.state import TrainingState


def make_view(
    prepared: Prepared,
    state: TrainingState,
    epoch: int,
    evaluations: Mapping[str, Evaluation],
    *,
    part: str,
    notes: list[str],
) -> View:
    """Returns what one visualiser will see, with a copy of the model of its own.

    Args:
        prepared: the run.
        state: where its training stands.
        epoch: of the model's weights.
        evaluations: that were made already, by part.
        part: that `predictions` are of.
        notes: takes what visualisers tell the user.
    """

    def inputs(images: torch.Tensor) -> torch.Tensor:
        standardised: torch.Tensor = prepared.normalisation(images.to(prepared.device))
        return standardised

    return View(
        model=detached_copy(state.evaluated),
        epoch=epoch,
        shape=prepared.data.shape,
        classes=prepared.data.classes,
        history={name: tuple(pairs) for name, pairs in state.history.items()},
        steps={name: series.copy() for name, series in state.steps.items()},
        notes=notes,
        _selections=prepared.selections,
        _normalise=inputs,
        _evaluate=prepared.evaluate,
        _device=prepared.device,
        _default_part=part,
        _evaluations=dict(evaluations),
        _probe=prepared.probe,
    )
