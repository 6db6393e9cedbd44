"""Finds where a model can be cut behind its frozen part, by trials with some images."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from mlrun.machine.precision import Precision
from mlrun.machine.randomness import own_random_states, random_states, seed_step
from mlrun.training.evaluation import Forward, set_training_mode, whole
from mlrun.training.frozen.cut import Cut
from mlrun.training.losses import criterion

NEAR = {"32": 1e-3, "bf16": 5e-2, "16": 1e-2}  # of the largest value: other batches round otherwise


def find_cut(
    model: nn.Module, images: Tensor, labels: Tensor, precision: Precision
) -> tuple[Cut, Tensor] | None:
    """Returns the latest place to cut `model` behind what is frozen, and the features there.

    None where nothing is frozen, or the frozen part cannot be separated from the rest.

    Args:
        model: only a copy of it is tried.
        images: some standardised ones, float32 (n, C, H, W), n at least 2, on its device.
        labels: of the images, int64 (n,).
        precision: of the forward pass.
    """
    if all(parameter.requires_grad for parameter in model.parameters()):
        return None
    with torch.no_grad(), own_random_states(images.device):
        try:
            trial = Trial(copy.deepcopy(model), images, labels, precision)
            cuts = list(candidates(trial.calls()))
        except Exception:  # of a model that cannot be copied: it is trained whole
            return None
        for cut in cuts:
            try:
                features = trial.holds(cut)
            except Exception:  # of a model that cannot go on from there
                continue
            if features is not None:
                return cut, features
    return None


@dataclass
class Call:
    """One call of a module in a forward pass.

    argument: its only argument, a tensor; None where the arguments are others.
    output: of the call. inner: the calls that the module made itself.
    """

    name: str
    module: nn.Module
    argument: Tensor | None
    output: object = None
    inner: list[Call] = field(default_factory=list)

    @property
    def trained(self) -> set[nn.Parameter]:
        """The module's parameters that are trained."""
        return {parameter for parameter in self.module.parameters() if parameter.requires_grad}


def candidates(calls: list[Call]) -> Iterator[Cut]:
    """Yields where a model might be cut, the latest place first; `calls` are of one forward pass.

    That is before each module that makes the model's output and holds all that is trained, or
    after modules that such a one begins with.
    """
    times = Counter(call.module for call in calls)
    frozen = {
        parameter for parameter in calls[0].module.parameters() if not parameter.requires_grad
    }
    entries = [
        call
        for call in calls
        if call.output is calls[0].output
        and call.argument is not None
        and call.trained == calls[0].trained
        and times[call.module] == 1
    ]
    for entry in reversed(entries):  # a module's own calls come after it
        chain = beginning(entry, times)
        for length in range(len(chain), 0, -1):
            if any([*call.module.parameters()] for call in chain[:length]):
                yield Cut(entry.name, tuple(call.name for call in chain[:length]))
        if frozen - set(entry.module.parameters()):
            yield Cut(entry.name)


def beginning(entry: Call, times: Counter[nn.Module]) -> list[Call]:
    """Returns the calls without trained parameters that `entry` begins with, each after the other.

    The input of the first is the entry's, that of each other the output of the one before.
    """
    chain: list[Call] = []
    tensor = entry.argument
    for call in entry.inner:
        if call.argument is not tensor or times[call.module] > 1:
            break
        if call.trained:
            chain += beginning(call, times)
            break
        chain.append(call)
        tensor = call.output if isinstance(call.output, Tensor) else None
    return chain


@dataclass(frozen=True)
class Trial:
    """The test of cuts: on a copy of the model that may be changed, with some images."""

    model: nn.Module
    images: Tensor
    labels: Tensor
    precision: Precision

    def calls(self) -> list[Call]:
        """Returns every call of a module in one forward pass in training mode, in their order."""
        calls: list[Call] = []
        running: list[Call] = []
        names = {module: name for name, module in self.model.named_modules()}

        def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            only = args[0] if len(args) == 1 and not kwargs else None
            call = Call(names[module], module, only if isinstance(only, Tensor) else None)
            if running:
                running[-1].inner.append(call)
            running.append(call)
            calls.append(call)

        def after(module: nn.Module, args: object, output: object) -> None:
            running.pop().output = output

        handles: list[RemovableHandle] = []
        for module in names:
            handles.append(module.register_forward_pre_hook(before, with_kwargs=True, prepend=True))
            handles.append(module.register_forward_hook(after))
        try:
            set_training_mode(self.model)
            self.model(self.images)
        finally:
            for handle in handles:
                handle.remove()
        return calls

    def holds(self, cut: Cut) -> Tensor | None:
        """Returns the images' features (n, …) if the model can be cut there, else None.

        They must be the same in training mode, in smaller batches and whatever the trained weights
        are, draw no random number and change no buffer; and from them the rest must compute the
        logits and the loss that the model has for the images, in both modes.
        """
        model, images = self.model, self.images
        random = random_states(images.device)
        buffers = [buffer.clone() for buffer in model.buffers()]
        model.eval()
        features = self.features(cut, images)
        set_training_mode(model)
        halves = images.split(-(-len(images) // 2))
        with other_weights(model):
            again = torch.cat([self.features(cut, half) for half in halves])
        steady = (
            len(features) == len(images)
            and self.near(features, again)
            and all(map(torch.equal, random, random_states(images.device)))
            and all(map(torch.equal, buffers, model.buffers()))
        )
        return features if steady and self.alike(cut, features) else None

    def features(self, cut: Cut, images: Tensor) -> Tensor:
        """Returns a copy of the features of `images`."""
        with self.precision.autocast():
            return cut.features(self.model, images).clone()

    def alike(self, cut: Cut, features: Tensor) -> bool:
        """Whether logits and loss of the features are those of the images, in both modes."""
        for training in (False, True):
            set_training_mode(self.model) if training else self.model.eval()
            expected = self.outcome(whole, self.images)
            self.outcome(whole, 1 - 2 * self.images)  # nothing is to be remembered of the images
            if not all(map(self.near, expected, self.outcome(cut.rest, features.clone()))):
                return False
        return True

    def outcome(self, forward: Forward, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Returns logits and loss."""
        seed_step(inputs.device, 0)
        with self.precision.autocast():
            logits = forward(self.model, inputs)
        return logits, criterion(self.model)(logits, self.labels)

    def near(self, one: Tensor, other: Tensor) -> bool:
        """Whether two tensors differ by no more than rounding."""
        if one.shape != other.shape or not one.is_floating_point():
            return False
        largest = one.abs().max() * NEAR[self.precision.name]
        return bool((one - other).abs().max() <= largest)


@contextmanager
def other_weights(model: nn.Module) -> Iterator[None]:
    """Changes the trained parameters of `model`, for as long as it lasts."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    weights = [parameter.clone() for parameter in trained]
    try:
        for parameter in trained:
            parameter.add_(1)
        yield
    finally:
        for parameter, weight in zip(trained, weights, strict=True):
            parameter.copy_(weight)
