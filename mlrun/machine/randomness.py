"""One seed for each source of randomness, all derived from `--seed`; random states put back."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager

import torch


def derive_seed(seed: int, *names: str | int) -> int:
    """Returns a seed of 63 bits for one purpose: the same for the same arguments, anywhere."""
    text = "/".join(str(part) for part in (seed, *names))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator(seed: int, *names: str | int) -> torch.Generator:
    """Returns a CPU generator with the derived seed."""
    return torch.Generator().manual_seed(derive_seed(seed, *names))


def own_random_states(device: torch.device) -> AbstractContextManager[None]:
    """Returns a context that puts back the random states of the CPU and of `device` only.

    torch's own default would wake every accelerator of the machine.
    """
    if device.type not in ("cuda", "xpu"):
        return torch.random.fork_rng(devices=[])
    index = device.index if device.index is not None else torch.accelerator.current_device_index()
    return torch.random.fork_rng(devices=[index], device_type=device.type)


def random_states(device: torch.device) -> list[torch.Tensor]:
    """Returns the random states that `own_random_states` puts back."""
    states = [torch.get_rng_state()]
    if device.type in ("cuda", "xpu"):
        states.append(torch.get_device_module(device).get_rng_state(device))
    return states


def seed_step(device: torch.device, seed: int) -> None:
    """Seeds what a model draws from in one step, on the CPU and on `device`; costs about 1 µs."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        index = device.index if device.index is not None else torch.cuda.current_device()
        torch.cuda.default_generators[index].manual_seed(seed)
    elif device.type != "cpu":
        torch.manual_seed(seed)
