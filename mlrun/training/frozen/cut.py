"""A model cut in two: what its frozen part makes of an image, and the rest that starts there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Never

from torch import Tensor, nn

NOTHING = nn.Identity()  # in the place of a module whose work is done


class Reached(Exception):
    """The forward pass has come to the cut; what lies behind it need not be computed."""


@dataclass(frozen=True)
class Cut:
    """Where a model is cut: before a module, or after the first ones that a module calls.

    It names modules, so it cuts every copy of the model too.

    entry: the module that is called in the model's place; its output is the model's. Empty for
        the model itself.
    skipped: modules inside it, in the order of their calls: each is given what the one before
        made, and the first what the entry is given.
    """

    entry: str
    skipped: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"after {self.skipped[-1]}" if self.skipped else f"before {self.entry}"

    def features(self, model: nn.Module, images: Tensor) -> Tensor:
        """Returns what arrives at the cut, (n, …), of standardised images (n, C, H, W).

        Nothing behind the cut is computed. The caller says whether with gradients or without,
        and in which mode.
        """
        kept: list[Tensor] = []

        def keep(tensor: Tensor) -> Never:
            kept.append(tensor)
            raise Reached

        if self.skipped:
            last = model.get_submodule(self.skipped[-1])
            handle = last.register_forward_hook(lambda module, given, made: keep(made))
        else:
            entry = model.get_submodule(self.entry)
            # first of all hooks: the entry's own are to come when it is called with the features
            handle = entry.register_forward_pre_hook(lambda _, given: keep(given[0]), prepend=True)
        try:
            with suppress(Reached):
                model(images)
        finally:
            handle.remove()
        return kept[0]

    def rest(self, model: nn.Module, features: Tensor) -> Tensor:
        """Returns the logits (n, K) that `model` makes of its features (n, …)."""
        with without(model, self.skipped):
            logits: Tensor = model.get_submodule(self.entry)(features)
        return logits


@contextmanager
def without(model: nn.Module, names: tuple[str, ...]) -> Iterator[None]:
    """Has the named modules hand on what they are given, for as long as it lasts."""
    modules = {name: model.get_submodule(name) for name in names}
    try:
        for name in names:
            model.set_submodule(name, NOTHING)
        yield
    finally:
        for name, module in modules.items():
            model.set_submodule(name, module)
