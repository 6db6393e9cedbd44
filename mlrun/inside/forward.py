"""Outputs or inputs of layers in one forward pass, also in one that fails."""

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

    tensors: of each layer, one tensor (N, …) on the CPU for each call, in their order.
    failure: the exception of the model, or None.
    failed_in: the innermost layer that raised it; empty for the model's own code.
    """

    tensors: dict[str, list[Tensor]]
    failure: Exception | None
    failed_in: str


def forward(
    model: nn.Module,
    layers: Iterable[str],
    inputs: Tensor,
    *,
    side: Literal["output", "input"] = "output",
) -> Pass:
    """Returns the outputs of the named layers, or their inputs, for `model(inputs)`.

    Tensors are copied at once, since an in-place layer overwrites them. An exception of the
    model is not raised but returned, with the tensors from before it.

    Args:
        model: not changed.
        layers: names as `model.named_modules()` gives them.
        inputs: of the model, standardised, (N, C, H, W).
        side: the layers' outputs, or the first tensor of their inputs.

    Raises:
        MlrunError: there is no layer of that name.
    """
    modules = dict(model.named_modules())
    tensors: dict[str, list[Tensor]] = {}
    for name in layers:
        if name not in modules:
            raise unknown("layer", name, [n for n in modules if n])
        tensors[name] = []
    entered: list[str] = []
    handles = watch(modules, tensors, entered, side=side)
    failure = None
    try:
        with torch.no_grad():
            model(inputs)
    except Exception as error:
        failure = error
    finally:
        for handle in handles:
            handle.remove()
    return Pass(tensors, failure, entered[-1] if entered else "")


def watch(
    modules: Mapping[str, nn.Module],
    tensors: Mapping[str, list[Tensor]],
    entered: list[str],
    *,
    side: Literal["output", "input"],
) -> list[RemovableHandle]:
    """Hooks modules to copy outputs or inputs, and to track which modules are running.

    Args:
        modules: by name.
        tensors: by the name of a layer, the list that copies of its tensors are appended to.
        entered: the names of those that were entered and not left yet, the innermost last.
        side: of the layers, which is copied.
    """
    handles: list[RemovableHandle] = []
    for name, module in modules.items():

        def enter(_: nn.Module, args: Any, kwargs: Any, name: str = name) -> None:
            entered.append(name)
            if side == "input" and name in tensors:
                append_copy(tensors[name], [*args, *kwargs.values()])

        def leave(_: nn.Module, args: object, output: object, name: str = name) -> None:
            while entered.pop() != name:  # those above failed, and the model went on
                pass
            if side == "output" and name in tensors:
                append_copy(tensors[name], [output])

        handles.append(module.register_forward_pre_hook(enter, with_kwargs=True))
        handles.append(module.register_forward_hook(leave))
    return handles


def append_copy(copies: list[Tensor], values: list[object]) -> None:
    """Appends a copy, on the CPU, of the first tensor among `values`, if there is one."""
    tensors = [value for value in values if isinstance(value, Tensor)]
    copies.extend(tensor.detach().to("cpu", copy=True) for tensor in tensors[:1])
