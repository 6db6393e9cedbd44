"""Which devices there are, and which one is taken."""

from __future__ import annotations

import torch

from mlrun.errors import MlrunError

PREFERRED = ("cuda", "xpu", "mps")


def available() -> list[str]:
    """Returns the names of the devices that work here, the preferred one first, `cpu` last."""
    names = []
    for kind in PREFERRED:
        backend = getattr(torch, kind, None)
        if backend is None or not backend.is_available():
            continue
        count = backend.device_count()
        names += [kind] if count == 1 else [f"{kind}:{index}" for index in range(count)]
    return [*names, "cpu"]


def resolve(name: str) -> torch.device:
    """Returns the device that `name` means; `auto` is the first of `available()`.

    Raises:
        MlrunError: there is no such device here.
    """
    present = available()
    if name == "auto":
        return torch.device(present[0])
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    accepted = {*present, *(f"{other}:0" for other in present if ":" not in other)}
    accepted |= {other.partition(":")[0] for other in present}
    if device is None or name not in accepted:
        raise MlrunError(f"device {name} is not here; there are: {', '.join(present)}")
    return device


def describe(device: torch.device) -> str:
    """Returns the device's product name, or its kind where it has none."""
    if device.type in ("cuda", "xpu"):
        backend = torch.cuda if device.type == "cuda" else torch.xpu
        return str(backend.get_device_name(device))
    return device.type


def synchronise(device: torch.device) -> None:
    """Waits until the device has done what it was given, so that a clock tells the truth."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
