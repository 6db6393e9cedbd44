"""A run that is ready to start: data and model, checked before the run is opened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from mlrun.data.batches import Batches
from mlrun.data.classes import check_classes
from mlrun.data.images import ImageData
from mlrun.data.normalisation import Normalisation, make_normalisation
from mlrun.data.probe import Probe, load_probe
from mlrun.data.splits import Selection, split
from mlrun.data.variants import change_batches
from mlrun.errors import MlrunError
from mlrun.inside.layers import layer_table
from mlrun.machine import devices
from mlrun.machine.garbage import old_objects_frozen
from mlrun.machine.group import ALONE, Group
from mlrun.machine.place import Place
from mlrun.machine.precision import Precision, choose_precision
from mlrun.preparing.contracts import build_model, check_fit, check_single_images, load_data, named
from mlrun.preparing.inputs import Inputs, make_batches
from mlrun.preparing.same_data import check_same_data
from mlrun.preparing.threads import use_threads
from mlrun.settings.changes import Variant
from mlrun.settings.plan import Plan
from mlrun.training.evaluation import Evaluation, evaluate, evaluate_share, whole
from mlrun.training.following import evaluate_together
from mlrun.training.procedure import Procedure
from mlrun.training.setup import class_weights, make_procedure, make_state, total_steps
from mlrun.training.state import TrainingState


@dataclass(frozen=True)
class Prepared:
    """A run that is ready to start.

    selections: which images belong to `train`, `val` and perhaps `test`.
    parts: the batches to evaluate each with, and `test-rotated-25` and the like for the
        variants of the test part.
    state: training before its first step; its model is on the device.
    train: batches to train on.
    procedure: how they are trained on.
    probe: the image that visualisers use in place of the data set's; None for none.
    """

    device: torch.device
    data: ImageData
    selections: dict[str, Selection]
    normalisation: Normalisation
    precision: Precision
    train: Batches
    parts: dict[str, Batches]
    state: TrainingState
    procedure: Procedure
    probe: Probe | None

    @property
    def model(self) -> nn.Module:
        """The model that is trained."""
        return self.state.model

    @property
    def inputs(self) -> Inputs:
        """Its inputs to the training: the images."""
        return Inputs(self.train, self.procedure, self.evaluate)

    @property
    def group(self) -> Group:
        """The processes that train together."""
        return self.state.group

    def evaluate(
        self,
        model: nn.Module,
        part: str,
        *,
        places: Sequence[int] | None = None,
        variant: Variant | None = None,
        seed: int = 0,
    ) -> Evaluation:
        """Returns the evaluation of `model` on a part.

        Args:
            model: on the device.
            part: one of `parts`.
            places: which of its images; all by default.
            variant: how they are changed, by draws from `seed`; not at all by default.
        """
        batches = self.parts[part]
        if places is None and variant is None:
            with evaluate_together(self.group, model, part, features=False):
                return evaluate(
                    model, batches, part=part, precision=self.precision, group=self.group
                )
        if places is not None:
            batches = batches.only(places)
        if variant is not None:
            batches = change_batches(batches, variant, seed=seed)
        return evaluate(model, batches, part=part, precision=self.precision)

    def evaluate_share(self, model: nn.Module, part: str) -> None:
        """Evaluates what is this process's of a part, for rank 0, which calls `evaluate`."""
        evaluate_share(model, self.parts[part], self.precision, whole, self.group)

    @property
    def about(self) -> dict[str, list[str] | list[int] | list[float] | None]:
        """The metadata that the weights need where there is no data set; plain values."""
        return {
            "classes": [str(name) for name in self.data.classes],
            "shape": list(self.data.shape),
            "mean": [float(value) for value in self.normalisation.mean],
            "std": [float(value) for value in self.normalisation.std],
            "value_range": self.data.value_range and [float(v) for v in self.data.value_range],
        }


def prepare(plan: Plan, device: torch.device, group: Group = ALONE) -> Prepared:
    """Loads the data, builds the model and tries it on two images.

    Raises:
        MlrunError: the data cannot be had or break their contract, or the model cannot be
            built or does not fit the data or the settings.
    """
    settings = plan.settings
    precision = choose_precision(settings.precision, device)
    with group.one_on_this_host_first():
        data = load_data(plan.dataset, settings.data_dir)
    with named(f"data set {plan.dataset.component.name}"):
        selections = split(
            data,
            validation=settings.validation,
            subset=settings.subset,
            seed=settings.seed,
            stratify=settings.stratify,
        )
        if settings.test_variants and "test" not in selections:
            raise MlrunError("it has no test part; leave test_variants out")
        count = len(selections["train"])
        if settings.drop_last and settings.trains and count < settings.batch_size:
            raise MlrunError(
                f"drop_last with batch_size {settings.batch_size} leaves no batch of "
                f"{count} training images; take a smaller batch_size, or "
                "leave drop_last out"
            )
        check_classes(data, selections)
        normalisation = make_normalisation(
            settings.normalisation, (data.mean, data.std), selections["train"]
        )
    probe = None
    if settings.probe is not None:
        probe = load_probe(settings.probe, data.shape[0], data.value_range)
    normalisation = normalisation.to(device)
    model = build_model(plan.model, data.shape, len(data.classes), settings.seed).to(device)
    check_fit(plan, model, data, normalisation, device)
    train, parts = make_batches(settings, selections, normalisation, device, group)
    steps = total_steps(settings, len(train))
    weights = class_weights(settings.class_weights, train.labels, len(data.classes))
    with named(f"model {plan.model.component.name}"):
        state = make_state(model, settings, precision, steps, len(train), group)
        procedure = make_procedure(model, settings, precision, weights, steps)
    check_single_images(model, train, steps, together=settings.sync_batch_norm)
    return Prepared(
        device, data, selections, normalisation, precision, train, parts, state, procedure, probe
    )


@contextmanager
def ready(plan: Plan, group: Group = ALONE) -> Iterator[Prepared]:
    """Loads the data and builds the model on the plan's device; torch is set up for the run.

    Afterwards torch is as it was.

    Args:
        plan: what was asked for.
        group: the processes that train together; each of them is to call it.

    Raises:
        MlrunError: the device, the data or the model cannot be had, or do not fit; here, or for
            another process of the group.
    """
    settings = plan.settings
    with group.agreeing():
        device = devices.resolve(settings.device, group.place)
    group.use(device)
    with devices.torch_settings(device, settings.threads, deterministic=settings.deterministic):
        with group.agreeing():
            prepared = prepare(plan, device, group)
        check_same_data(prepared.data, prepared.selections, group)
        use_threads(settings, prepared.model, prepared.data.shape, device, group.size)
        with old_objects_frozen():
            yield prepared


def dry_run(plan: Plan) -> str:
    """Returns the resolved settings as a recipe, with the table of layers as comments below.

    Everything is checked that a run checks before it is opened, except for what needs the
    tracking store: it is not touched, so `init_from` is not looked up.

    Raises:
        MlrunError: as for a run.
    """
    settings = plan.settings
    if settings.processes > 1:
        count = settings.processes
        devices.resolve(settings.device, Place(size=count, local_size=count))
    with ready(plan) as prepared:
        table = layer_table(prepared.model, prepared.data.shape, prepared.device)
    comments = (f"# {line}".rstrip() for line in table.splitlines())
    return "\n".join([plan.recipe(), *comments, ""])
