"""Parts of a network, by the names of their layers: frozen, or trained at rates of their own."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from mlrun.errors import MlrunError
from mlrun.settings.values import PartRates


def is_named(parameter: str, pattern: str) -> bool:
    """Whether `pattern` matches a parameter's name, or that of a module it lies in.

    >>> is_named("layer4.0.conv1.weight", "layer4"), is_named("layer4.0.conv1.weight", "layer")
    (True, False)
    """
    parts = parameter.split(".")
    return any(fnmatchcase(".".join(parts[:end]), pattern) for end in range(1, len(parts) + 1))


def top_layers(model: nn.Module) -> str:
    """Returns the names of the outermost layers that have parameters, with commas between."""
    names = (name.partition(".")[0] for name, _ in model.named_parameters())
    return ", ".join(dict.fromkeys(names))


def find_parts(model: nn.Module, patterns: Iterable[str]) -> dict[str, list[nn.Parameter]]:
    """Returns the parameters of each part; one that several patterns match is the first's.

    Raises:
        MlrunError: a pattern matches no parameter, or none that is left.
    """
    parts: dict[str, list[nn.Parameter]] = {}
    earlier: set[nn.Parameter] = set()
    every = list(model.named_parameters(remove_duplicate=False))
    for pattern in patterns:
        matches = dict.fromkeys(p for name, p in every if is_named(name, pattern))
        if not matches:
            raise MlrunError(
                f"part_lrs {pattern}: no layer has that name; expected names with * of "
                f"{top_layers(model)} and the layers inside them, as model-summary.txt lists them"
            )
        parts[pattern] = [parameter for parameter in matches if parameter not in earlier]
        if not parts[pattern]:
            raise MlrunError(
                f"part_lrs {pattern}: names before it match all that it matches; put it first"
            )
        earlier.update(matches)
    return parts


def freeze_parts(model: nn.Module, rates: PartRates) -> None:
    """Freezes the parts whose rate is 0.

    Raises:
        MlrunError: a part does not exist or is frozen already, or the model says itself what
            is trained at which rate.
    """
    if rates.pairs and hasattr(model, "parameter_groups"):
        raise MlrunError(
            "it has parameter_groups(lr) of its own, which say what is trained at which rate; "
            "leave part_lrs out"
        )
    parts = find_parts(model, rates.names)
    for pattern, rate in rates.pairs:
        if rate == 0:
            for parameter in parts[pattern]:
                parameter.requires_grad_(False)
        elif not any(parameter.requires_grad for parameter in parts[pattern]):
            raise MlrunError(
                f"part_lrs {pattern}: the model has frozen all of it, so no rate trains it; "
                "leave it out, or have the model train it"
            )


def part_groups(model: nn.Module, rates: PartRates, lr: float) -> list[dict[str, Any]]:
    """Returns an optimiser's groups: first the parameters of no part, at `lr`, then each part's.

    Only parameters that require a gradient are in them, so any may be empty. A part's group holds
    its pattern as `part`.
    """
    parts = find_parts(model, rates.names)
    in_parts = {parameter for group in parts.values() for parameter in group}
    rest = [p for p in model.parameters() if p.requires_grad and p not in in_parts]
    groups: list[dict[str, Any]] = [{"params": rest, "lr": lr}]
    for pattern, rate in rates.pairs:
        parameters = [parameter for parameter in parts[pattern] if parameter.requires_grad]
        groups.append({"params": parameters, "lr": rate, "part": pattern})
    return groups
