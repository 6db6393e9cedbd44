"""Which devices there are, and which one is taken."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import torch

from mlrun.errors import MlrunError
from mlrun.machine.place import ALONE_HERE, Place
from mlrun.machine.randomness import own_random_states

PREFERRED = ("cuda", "xpu", "mps")
_in_use = Lock()  # while torch is set up for a run


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


def resolve(name: str, place: Place = ALONE_HERE) -> torch.device:
    """Returns the device that `name` means; `auto` is the first of `available()`.

    Where several processes of this host train together, each takes one of its own of that kind.

    Raises:
        MlrunError: there is no such device here, or not one for each process.
    """
    present = available()
    kind, _, index = (present[0] if name == "auto" else name).partition(":")
    if place.local_size > 1 and kind in PREFERRED:
        if index and name != "auto":
            raise MlrunError(
                f"device {name} is one, for {place.local_size} processes; take --device {kind}: "
                "each takes one of its own"
            )
        return own_device(kind, place)
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


def own_device(kind: str, place: Place) -> torch.device:
    """Returns the device of a kind that belongs to this process; raises where there are too few."""
    count = torch.get_device_module(kind).device_count() if kind != "mps" else 1
    if count < place.local_size:
        raise MlrunError(
            f"{place.local_size} processes of this host train together, and {count} {kind} "
            f"{'device is' if count == 1 else 'devices are'} here; expected one for each: start "
            "fewer processes, or take --device cpu"
        )
    return torch.device(kind, place.local_rank)


@contextmanager
def torch_settings(
    device: torch.device, threads: int, *, deterministic: bool = False
) -> Iterator[None]:
    """Sets torch up for a run on `device`, and puts it back afterwards.

    Random states are the caller's again, cuDNN is deterministic, so that the same settings
    give the same numbers (docs/settings.md: under which conditions), and `threads` CPU threads
    are used (0: torch's own choice). With `deterministic`, operations that are not reproducible
    raise an error.

    Raises:
        MlrunError: torch is set up for another run, in this thread or another.
    """
    check_idle()
    with _in_use, own_settings(), own_random_states(device):
        torch.backends.cudnn.deterministic = True
        if deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it
            torch.use_deterministic_algorithms(True)
        if threads:
            torch.set_num_threads(threads)
        yield


def check_idle() -> None:
    """Raises MlrunError where torch is set up for a run: it is so for the whole process."""
    if _in_use.locked():
        raise MlrunError(
            "another run is at work in this process, in which torch has one source of random "
            "numbers; wait until it has ended, or start this one in another process"
        )


@contextmanager
def own_settings() -> Iterator[None]:
    """Puts torch's threads, and its determinism, back afterwards."""
    before, cudnn = torch.get_num_threads(), torch.backends.cudnn.deterministic
    strict = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        yield
    finally:
        set_deterministic(strict, warn_only=warn_only)
        torch.backends.cudnn.deterministic = cudnn
        torch.set_num_threads(before)


def set_deterministic(strict: bool, *, warn_only: bool) -> None:
    """Puts torch's determinism back, where it was changed: to set it loads torch's compiler."""
    before = torch.are_deterministic_algorithms_enabled()
    if before != strict or torch.is_deterministic_algorithms_warn_only_enabled() != warn_only:
        torch.use_deterministic_algorithms(strict, warn_only=warn_only)


def device_name(device: torch.device) -> str:
    """Returns the device's product name, or its kind where it has none."""
    if device.type in ("cuda", "xpu"):
        backend = torch.cuda if device.type == "cuda" else torch.xpu
        return str(backend.get_device_name(device))
    return device.type


def processor_name() -> str:
    """Returns the processor's product name, and which of its instructions torch makes use of.

    Another one of either adds up in another order.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    name = next(names, platform.processor() or platform.machine())
    return f"{name} ({torch.backends.cpu.get_cpu_capability()})"


def synchronise(device: torch.device) -> None:
    """Waits until the device has done what it was given, so that a clock tells the truth."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
