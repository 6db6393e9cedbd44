"""A model that starts from another run's best weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

from mlrun.errors import MlrunError
from mlrun.preparing.contracts import build_model, named
from mlrun.preparing.prepared import Prepared
from mlrun.preparing.weights import best_weights
from mlrun.record.logged import find_run
from mlrun.settings.plan import Plan
from mlrun.training.checkpoints import digest


@dataclass(frozen=True)
class Start:
    """The best weights of another run, in a model.

    run_id: the other run. sha256: of its best weights.
    tensors, head: names of the tensors that were loaded, and of those of the head, which were not.
    """

    run_id: str
    sha256: str
    tensors: tuple[str, ...]
    head: tuple[str, ...]

    @property
    def tag(self) -> str:
        """The value of the new run's tag about it: the other run, and the digest of its weights."""
        return f"{self.run_id} sha256:{self.sha256}"

    def __str__(self) -> str:
        count = len(self.tensors) + len(self.head)
        text = f"started from run {self.run_id}: {len(self.tensors)} of {count} tensors"
        return f"{text}; fresh: {', '.join(self.head)}" if self.head else text


def start_from(plan: Plan, prepared: Prepared) -> Start | None:
    """Puts the best weights of the run `init_from` into the model, or returns None without one.

    Where the classes differ, in name or order, the head stays as it was initialised.

    Raises:
        MlrunError: there is no such run, it has no weights, or a tensor outside the head has
            another name or shape.
    """
    settings, model = plan.settings, prepared.model
    if settings.init_from is None:
        return None
    with named("init_from"):
        run = find_run(settings.init_from)
        weights = best_weights(run)
        ours = model.state_dict()
        head: set[str] = set()
        if weights.classes != tuple(prepared.data.classes):
            head = head_of(plan, prepared)
        source = f"run {run.run_id} ({run.params.get('model', 'of a model that is not known')})"
        check_tensors(ours, weights.model, head, source=source)
    tensors = {name: weights.model[name] for name in ours if name not in head}
    model.load_state_dict(tensors, strict=False)
    if prepared.state.average is not None:
        prepared.state.average.model.load_state_dict(model.state_dict())
    fresh = tuple(name for name in ours if name in head)
    return Start(run.run_id, digest(weights.model), tuple(tensors), fresh)


def head_of(plan: Plan, prepared: Prepared) -> set[str]:
    """Returns the names of the tensors whose shape depends on the number of classes.

    For comparison, the model is built for one class more.
    """
    shape, classes = prepared.data.shape, len(prepared.data.classes) + 1
    larger = build_model(plan.model, shape, classes, plan.settings.seed)
    if any(is_lazy(parameter) for parameter in larger.parameters()):
        with torch.no_grad():  # lazy layers get their shapes from a first batch
            larger.eval()(torch.zeros(2, *shape))
    theirs = larger.state_dict()
    ours = prepared.model.state_dict()
    return {n for n, tensor in ours.items() if n not in theirs or theirs[n].shape != tensor.shape}


def check_tensors(
    ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor], head: set[str], *, source: str
) -> None:
    """Raises MlrunError unless all but the head has the same names and shapes in both."""
    advice = "the models must be alike but for the head"
    for name, tensor in ours.items():
        shape = tuple(tensor.shape)
        if name in head:
            continue
        if name not in theirs:
            raise MlrunError(f"{source} has no {name}, which is {shape} here; {advice}")
        if theirs[name].shape != tensor.shape:
            raise MlrunError(
                f"{name} is {tuple(theirs[name].shape)} in {source} but {shape} here; {advice}"
            )
    for name, tensor in theirs.items():
        if name not in ours:
            raise MlrunError(
                f"{source} has {name}, {tuple(tensor.shape)}, which is not here; {advice}"
            )
