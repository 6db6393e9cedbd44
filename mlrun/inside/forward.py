"""What layers put out or get in one forward pass, also in one that fails on its way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from mlrun.errors import unknown


@dataclass(frozen=True)
class Pass:
    """One forward pass.

    kept: of each layer, one tensor (N, …) on the CPU for each call, in their order.
    failure: what the model raised, or None.
    failed_in: the innermost layer that it was in then; empty in the model's own code.
    """

    kept: dict[str, list[Tensor]]
    failure: Exception | None
    failed_in: str


def forward(
    model: nn.Module,
    layers: Iterable[str],
    inputs: Tensor,
    *,
    side: Literal["output", "input"] = "output",
) -> Pass:
    """Returns what the named layers put out, or get, when `model` is called with `inputs`.

    Tensors are copied at once, since an in-place layer overwrites them. A model that
    fails is no error here: what came before it is kept.

    Args:
        model: left as it is.
        layers: names as `model.named_modules()` gives them.
        inputs: as the model wants them, (N, C, H, W).
        side: what the layers put out, or the first tensor that they get.

    Raises:
        MlrunError: there is no layer of that name.
    """
    modules = dict(model.named_modules())
    kept: dict[str, list[Tensor]] = {}
    for name in layers:
        if name not in modules:
            raise unknown("layer", name, [n for n in modules if n])
        kept[name] = []
    entered: list[str] = []
    handles = watch(modules, kept, entered, side=side)
    failure = None
    try:
        with torch.no_grad():
            model(inputs)
    except Exception as error:
        failure = error
    finally:
        for handle in handles:
            handle.remove()
    return Pass(kept, failure, entered[-1] if entered else "")


def watch(
    modules: Mapping[str, nn.Module],
    kept: Mapping[str, list[Tensor]],
    entered: list[str],
    *,
    side: Literal["output", "input"],
) -> list[RemovableHandle]:
    """Has modules keep what they put out, or get, and write down which of them are at work.

    Args:
        modules: by name.
        kept: by the name of a layer, where a copy of each of its tensors goes.
        entered: the names of those that were entered and not left yet, the innermost last.
        side: what is kept.
    """
    handles: list[RemovableHandle] = []
    for name, module in modules.items():

        def enter(_: nn.Module, given: Any, named: Any, name: str = name) -> None:
            entered.append(name)
            if side == "input" and name in kept:
                keep(kept[name], [*given, *named.values()])

        def leave(_: nn.Module, given: object, output: object, name: str = name) -> None:
            while entered.pop() != name:  # those above failed, and the model went on
                pass
            if side == "output" and name in kept:
                keep(kept[name], [output])

        handles.append(module.register_forward_pre_hook(enter, with_kwargs=True))
        handles.append(module.register_forward_hook(leave))
    return handles


def keep(kept: list[Tensor], values: list[object]) -> None:
    """Keeps a copy of the first tensor among `values`, if there is one."""
    tensors = [value for value in values if isinstance(value, Tensor)]
    kept.extend(tensor.detach().to("cpu", copy=True) for tensor in tensors[:1])
