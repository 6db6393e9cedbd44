"""A model cut in two: the features of its frozen part, and the rest that maps them to logits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Never

from torch import Tensor, nn

NOTHING = nn.Identity()  # in the place of a module that is skipped


class Reached(Exception):
    """The forward pass has reached the cut, and need not go on."""


@dataclass(frozen=True)
class Cut:
    """The place where a model is cut: before a module, or after the first ones that a module calls.

    It names modules, so it cuts every copy of the model too.

    entry: the module that is called in the model's place; its output is the model's. Empty for
        the model itself.
    skipped: modules inside it, in the order of their calls: the input of each is the output
        of the one before, and that of the first is the entry's.
    """

    entry: str
    skipped: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"after {self.skipped[-1]}" if self.skipped else f"before {self.entry}"

    def features(self, model: nn.Module, images: Tensor) -> Tensor:
        """Returns the features (n, …) at the cut for standardised images (n, C, H, W).

        Nothing behind the cut is computed. The caller says whether with gradients or without,
        and in which mode.
        """
        features: list[Tensor] = []

        def stop(tensor: Tensor) -> Never:
            features.append(tensor)
            raise Reached

        if self.skipped:
            last = model.get_submodule(self.skipped[-1])
            handle = last.register_forward_hook(lambda _, args, output: stop(output))
        else:
            entry = model.get_submodule(self.entry)
            # first of all hooks: the entry's own are to come when it is called with the features
            handle = entry.register_forward_pre_hook(lambda _, args: stop(args[0]), prepend=True)
        try:
            with suppress(Reached):
                model(images)
        finally:
            handle.remove()
        return features[0]

    def rest(self, model: nn.Module, features: Tensor) -> Tensor:
        """Returns the logits (n, K) of `model` for its features (n, …)."""
        with without(model, self.skipped):
            logits: Tensor = model.get_submodule(self.entry)(features)
        return logits


@contextmanager
def without(model: nn.Module, names: tuple[str, ...]) -> Iterator[None]:
    """Replaces the named modules by identities, for as long as it lasts."""
    modules = {name: model.get_submodule(name) for name in names}
    try:
        for name in names:
            model.set_submodule(name, NOTHING)
        yield
    finally:
        for name, module in modules.items():
            model.set_submodule(name, module)
