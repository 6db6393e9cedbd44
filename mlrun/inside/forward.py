"""What layers put out in one forward pass, also in one that fails on its way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mlrun.errors import unknown


@dataclass(frozen=True)
class Pass:
    """One forward pass.

    outputs: of each layer, one tensor (N, …) on the CPU for each call, in their order.
    failure: what the model raised, or None.
    failed_in: the innermost layer that it was in then; empty in the model's own code.
    """

    outputs: dict[str, list[Tensor]]
    failure: Exception | None
    failed_in: str


def forward(model: nn.Module, layers: Iterable[str], inputs: Tensor) -> Pass:
    """Returns what the named layers put out when `model` is called with `inputs`.

    Outputs are copied at once, since a later in-place layer overwrites them. A model that
    fails is no error here: what came before it is kept.

    Args:
        model: left as it is.
        layers: names as `model.named_modules()` gives them.
        inputs: as the model wants them, (N, C, H, W).

    Raises:
        MlrunError: there is no layer of that name.
    """
    modules = dict(model.named_modules())
    outputs: dict[str, list[Tensor]] = {}
    for name in layers:
        if name not in modules:
            raise unknown("layer", name, [n for n in modules if n])
        outputs[name] = []
    entered: list[str] = []
    handles = []
    for name, module in modules.items():

        def enter(module: nn.Module, inputs: object, name: str = name) -> None:
            entered.append(name)

        def leave(module: nn.Module, inputs: object, output: object, name: str = name) -> None:
            while entered.pop() != name:  # those above failed, and the model went on
                pass
            if name in outputs and isinstance(output, Tensor):
                outputs[name].append(output.detach().to("cpu", copy=True))

        handles += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
    failure = None
    try:
        with torch.no_grad():
            model(inputs)
    except Exception as error:
        failure = error
    finally:
        for handle in handles:
            handle.remove()
    return Pass(outputs, failure, entered[-1] if entered else "")
