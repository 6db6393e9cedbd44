"""What a run's best weights are asked to be evaluated on, and what that is logged under."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlrun.errors import MlrunError
from mlrun.record.evaluations import evaluated_on
from mlrun.record.logged import LoggedRun
from mlrun.seam.conversion import as_text
from mlrun.settings.changes import Variant
from mlrun.settings.option_values import prefixed

OWN_SECTIONS = ("train", "val", "test", "step", "system")  # what a run's own metrics stand under


@dataclass(frozen=True)
class EvaluationRequest:
    """What a run's best weights are to be evaluated on.

    part: `test`, `val` or `train`.
    variant: how the images are changed.
    dataset: another data set with the same classes; None is the run's own.
    options: of the data set; for the run's own, over those of the run.
    model_options: over those of the run's model, for what only its start needed.
    plugins: files that are plugins, besides the run's own.
    data_dir: the folder that data sets are read from; None is the run's.
    seed: of the variant's draws; None is the run's.
    name: what it is logged under; None makes one.
    device: as for training.
    """

    part: str = "test"
    variant: Variant = field(default_factory=Variant)
    dataset: str | None = None
    options: Mapping[str, object] = field(default_factory=dict)
    model_options: Mapping[str, object] = field(default_factory=dict)
    plugins: tuple[Path, ...] = ()
    data_dir: Path | None = None
    seed: int | None = None
    name: str | None = None
    device: str = "auto"

    def elsewhere(self, run: LoggedRun) -> bool:
        """Whether the data are not the run's own; an option equal to the run's changes nothing."""
        if self.dataset is not None or not self.options:
            return self.dataset is not None
        own = prefixed("dataset", run.settings().options)
        return any(n not in own or as_text(own[n]) != as_text(v) for n, v in self.options.items())

    def as_trained(self, run: LoggedRun) -> bool:
        """Whether it is the run's own data as they are, from where they were."""
        changed = self.elsewhere(run) or self.variant.active or self.data_dir or self.name
        return not changed


def name_of(run: LoggedRun, request: EvaluationRequest) -> str:
    """Returns what the evaluation is logged under: the part, the data set, the variant.

    Raises:
        MlrunError: the name given is one of the run's own, or MLflow would not have it.
    """
    if request.name is not None:
        fits = re.fullmatch(r"[^\W_][\w.-]*", request.name) and len(request.name.encode()) <= 100
        if request.name in OWN_SECTIONS or not fits:
            raise MlrunError(
                f"name {request.name}: expected letters, digits, - _ and . and none of "
                f"{', '.join(OWN_SECTIONS)}"
            )
        return request.name
    part = request.part
    if request.elsewhere(run):
        part += f"-{dataset_of(run, request).rpartition('/')[2].replace('_', '-')}"
    name = request.variant.called(part)
    return "train-best" if name == "train" else name  # train/… are the running means


def dataset_of(run: LoggedRun, request: EvaluationRequest) -> str:
    """Returns the name of the data set: the one asked for, or the run's."""
    return run.settings("dataset").dataset if request.dataset is None else request.dataset


def seed_of(run: LoggedRun, request: EvaluationRequest) -> int:
    """Returns the seed of the variant's draws."""
    return run.settings("seed").seed if request.seed is None else request.seed


def evaluated_images(run: LoggedRun, request: EvaluationRequest, digest: str) -> str:
    """Returns what decides the figures, of images with that digest; see `evaluated_on`."""
    seed = seed_of(run, request) if request.variant.active else 0
    return evaluated_on(request.part, dataset_of(run, request), digest, request.variant, seed)
