"""What keeps trainings from being done as one: looked for in what they are, and tried."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mlrun.data.batches import Batches
from mlrun.errors import MlrunError, contained, one_line
from mlrun.machine.randomness import own_random_states, seed_step
from mlrun.training.evaluation import set_training_mode, whole
from mlrun.training.losses import CrossEntropy
from mlrun.training.procedure import Procedure
from mlrun.training.stacked.ensemble import StackedModels, named_tensors
from mlrun.training.stacked.member import Member
from mlrun.training.stacked.rows import Rows
from mlrun.training.stacked.updates import NUMBERS

EXAMPLES = 2  # in the trial
CLOSE = 0.05  # by which outputs may differ: bf16 rounds to 1/256
ELSEWHERE = {"params", "part", "fused", "foreach", "initial_lr"}  # no part of the arithmetic


def check(members: Sequence[Member]) -> None:
    """Raises MlrunError, with the reason, unless the members can be trained as one."""
    reason = hindrance(members)
    if reason:
        raise MlrunError(f"{len(members)} models cannot be trained as one: {reason}")


def hindrance(members: Sequence[Member]) -> str:
    """Returns why the members cannot be trained as one, and what to do; empty where they can.

    Each model is tried on two images, by itself and with the others: both must come to the same.
    Nothing of it remains.
    """
    checks = [of_procedures, of_data, of_models, of_optimisers, of_passes]
    return next(filter(None, (find(members) for find in checks)), "")


def of_procedures(members: Sequence[Member]) -> str:
    """Returns what of how they are trained does not go together."""
    first = members[0].procedure
    if any(m.state.group.size > 1 for m in members):
        return "several processes train each; leave processes out"
    if first.precision.name == "16":
        return "precision 16 scales each model's gradients by itself; take 32 or bf16"
    if any(m.procedure.mixing for m in members):
        return "mixup and cutmix mix each model's batches by themselves; leave them out"
    if any(m.procedure.seconds for m in members):
        return "a time limit would count the time of all; give epochs or steps"
    if any(m.procedure.forward is not whole for m in members):
        return "each trains on features of its own frozen part; add cache_features false"
    same: dict[str, Callable[[Member], object]] = {
        "precision": lambda m: m.procedure.precision,
        "steps": lambda m: m.procedure.steps,
        "reduction": lambda m: m.procedure.reduction,
        "evaluate_steps": lambda m: m.procedure.evaluate_every,
        "ema": lambda m: m.state.average is None,
        "class_weights": lambda m: getattr(m.procedure.loss_of, "weights", None) is None,
        "loss": lambda m: isinstance(m.procedure.loss_of, CrossEntropy),
        "where they stand": lambda m: (m.state.epoch, m.state.step, m.state.tally.sizes),
    }
    return differing(members, same)


def of_data(members: Sequence[Member]) -> str:
    """Returns what of their data does not go together."""
    if any(m.batches.store.standardised for m in members):
        return "they train on features, not on images"
    same: dict[str, Callable[[Member], object]] = {
        "images, which are to lie in memory once": lambda m: place_of(m.batches),
        "device": lambda m: m.batches.device,
        "number of training images": lambda m: len(m.batches.store),
        "batch_size": lambda m: m.batches.batch_size,
        "accumulate": lambda m: m.batches.batching.accumulate,
        "drop_last": lambda m: m.batches.batching.drop_last,
    }
    return differing(members, same)


def of_models(members: Sequence[Member]) -> str:
    """Returns what of their models does not go together."""
    same: dict[str, Callable[[Member], object]] = {
        "layers": lambda m: (type(m.state.model), repr(m.state.model)),
        "parameters and buffers": lambda m: [
            (name, tensor.shape, tensor.dtype, tensor.requires_grad)
            for name, tensor in named_tensors(m.state.model)
        ],
    }
    return differing(members, same)


def of_optimisers(members: Sequence[Member]) -> str:
    """Returns what of their optimisers does not go together."""
    optimiser = members[0].state.optimiser
    kind = type(optimiser).__name__.lower()
    if not isinstance(optimiser, torch.optim.SGD | torch.optim.Adam):  # AdamW is an Adam
        return f"optimiser {kind} is not done for several models; take sgd, adam or adamw"
    for group in optimiser.param_groups:
        for name in ("amsgrad", "maximize", "dampening", "differentiable"):
            if group.get(name):
                return f"{name} {group[name]} of optimiser {kind} is not done for several models"
    same: dict[str, Callable[[Member], object]] = {
        "optimiser": lambda m: type(m.state.optimiser).__name__,
        "groups of parameters": lambda m: groups_of(m),
    }
    return differing(members, same)


def of_passes(members: Sequence[Member]) -> str:
    """Returns what is wrong with passes of their models together."""
    models = [copy.deepcopy(member.state.model) for member in members]
    for model in models:
        set_training_mode(model)
    device, batches = members[0].batches.device, members[0].batches
    places = torch.arange(EXAMPLES) % len(batches.store)
    images, labels = batches.gather(places), batches.labels[places.to(device)]
    with torch.no_grad(), own_random_states(device):
        alone = list(outputs_alone(copy.deepcopy(models), members[0].procedure, images))
        try:
            with contained():
                stacked = StackedModels(models, [member.procedure for member in members], Rows())
                stacked.draws.seed(range(len(models)))
                count = len(models)
                _, logits = stacked(
                    images.expand(count, *images.shape), labels.expand(count, -1).contiguous()
                )
        except Exception as error:
            return reason_of(error)
    for model, own, expected in zip(models, logits, alone, strict=True):
        if not all(map(close, [own, *model.buffers()], expected)):
            return (
                "a model comes to other outputs, or buffers, with the others than by itself; "
                "train them one after another"
            )
    return ""


def outputs_alone(
    models: Sequence[nn.Module], procedure: Procedure, images: Tensor
) -> Iterator[list[Tensor]]:
    """Yields each model's logits and buffers after a pass by itself, with its place as the seed."""
    for place, model in enumerate(models):
        seed_step(images.device, place)
        with procedure.precision.autocast():
            yield [model(images), *model.buffers()]


def reason_of(error: Exception) -> str:
    """Returns why models do not pass together, from what torch says."""
    text = one_line(error)
    if "randomness" in text:
        return (
            "the model draws at random in a way that cannot be repeated model by model (dropout "
            "as nn.Dropout, on the CPU, can); leave it out"
        )
    return f"torch.func.vmap does not take the model ({text})"


def differing(members: Sequence[Member], same: Mapping[str, Callable[[Member], object]]) -> str:
    """Returns which of what must be the same is not, and what to do."""
    for name, of in same.items():
        first = of(members[0])
        if any(of(member) != first for member in members[1:]):
            return f"they differ in {name}; train those that do one after another"
    return ""


def place_of(batches: Batches) -> tuple[object, ...]:
    """Returns where the images of a data set lie, and their shape."""
    images = batches.store.selection.images
    return images.data_ptr(), images.shape, images.dtype


def groups_of(member: Member) -> list[tuple[list[str], dict[str, Any]]]:
    """Returns the names of an optimiser's parameters, and what may not differ, by group."""
    names = {parameter: name for name, parameter in member.state.model.named_parameters()}
    return [
        (
            [names.get(parameter, "") for parameter in group["params"]],
            {k: v for k, v in group.items() if k not in NUMBERS | ELSEWHERE},
        )
        for group in member.state.optimiser.param_groups
    ]


def close(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are the same but for rounding."""
    return torch.allclose(one.double(), other.double(), rtol=CLOSE, atol=CLOSE, equal_nan=True)
