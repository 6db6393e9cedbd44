"""The table of a model's layers: names, output shapes, parameters."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from mlrun.inside.sandbox import detached_copy
from mlrun.machine.randomness import own_random_states

Shape = tuple[int, ...]
HEADER = ("layer", "type", "output", "parameters", "trained")


@dataclass(frozen=True)
class Layer:
    """A module without modules in it, or with parameters of its own.

    name: as `model.named_modules()` gives it; empty for the model itself.
    kind: the name of its class.
    shape: of its first output for one image, without the batch; None where it was not called
        as a module or returned no tensor.
    trained, frozen: how many parameters are its own, each counted where it comes first.
    """

    name: str
    kind: str
    shape: Shape | None
    trained: int
    frozen: int


def layers_of(model: nn.Module, example: Tensor) -> list[Layer]:
    """Returns the layers of `model`, in the order in which they are called.

    Those that are never called come after the module that they are in, or last.

    Args:
        model: not changed; a copy of it is called.
        example: float32 (N, C, H, W), standardised, on the model's device.
    """
    shapes = output_shapes(model, example)
    places = {name: place for place, name in enumerate(shapes)}
    seen: set[Tensor] = set()
    layers = []
    for name, module in model.named_modules():
        own = [p for p in module.parameters(recurse=False) if p not in seen]
        seen.update(own)
        if own or not any(True for _ in module.children()):
            trained, frozen = (
                sum(p.numel() for p in own if p.requires_grad is needed) for needed in (True, False)
            )
            layers.append(Layer(name, type(module).__name__, shapes.get(name), trained, frozen))
    return sorted(layers, key=lambda layer: place_of(layer.name, places))


def place_of(name: str, places: dict[str, int]) -> int:
    """Returns the place of the first call of a module, or of the nearest that it is in."""
    while name and name not in places:
        name = name.rpartition(".")[0]
    return places.get(name, 0) if name else len(places)


def output_shapes(model: nn.Module, example: Tensor) -> dict[str, Shape | None]:
    """Returns the shape of each module's first output for one image, in the order of the calls.

    Where a copy of the model fails, the shapes of the modules after that are left out.
    """
    shapes: dict[str, Shape | None] = {}

    def begin(name: str, module: nn.Module, inputs: object) -> None:
        shapes.setdefault(name, None)

    def end(name: str, module: nn.Module, inputs: object, output: Any) -> None:
        if isinstance(output, tuple | list) and output:
            output = output[0]  # attention returns weights too
        if shapes[name] is None and isinstance(output, Tensor):
            shapes[name] = tuple(output.shape[1:])

    with suppress(Exception), torch.no_grad(), own_random_states(example.device):
        twin = detached_copy(model)
        for name, module in twin.named_modules():
            module.register_forward_pre_hook(partial(begin, name))
            module.register_forward_hook(partial(end, name))
        twin(example)
    return shapes


def layer_table(model: nn.Module, shape: Shape, device: torch.device) -> str:
    """Returns the layers of `model` as a table, one a line, and the sums of their parameters.

    Args:
        model: on the device; not changed, a copy of it is called.
        shape: of one image, (C, H, W).
    """
    layers = layers_of(model, torch.zeros(1, *shape, device=device))
    rows = [HEADER, ("(image)", "", size(shape), "", ""), *map(cells, layers)]
    trained, frozen = sum(x.trained for x in layers), sum(x.frozen for x in layers)
    total = f"{trained + frozen:,} parameters: {trained:,} trained, {frozen:,} frozen"
    return "\n".join([*aligned(rows), "", total, ""])


def cells(layer: Layer) -> tuple[str, ...]:
    """Returns the cells of a layer's row."""
    count = layer.trained + layer.frozen
    trained = "yes" if not layer.frozen else "no" if not layer.trained else "partly"
    return (
        layer.name or "(model)",
        layer.kind,
        size(layer.shape) if layer.shape is not None else "-",
        f"{count:,}" if count else "",
        trained if count else "",
    )


def size(shape: Shape) -> str:
    """Returns a shape as text: `6 × 24 × 24`."""
    return " × ".join(map(str, shape))


def aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Returns the rows as aligned lines; the column of parameters is aligned to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    numbers = HEADER.index("parameters")
    return [
        "  ".join(
            cell.rjust(width) if place == numbers else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
