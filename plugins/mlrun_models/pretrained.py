"""Weights of torchvision's networks: reading, checking, and fitting to the data."""

from __future__ import annotations

import hashlib
import re
import sys
from collections import OrderedDict
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision import models

from mlrun import MlrunError
from mlrun.plugin import at_home, fault_of_file, one_line, unknown

State = dict[str, Tensor]
WRAPPERS = ("state_dict", "model")  # under which training scripts, mlrun's too, put the weights
AUXILIARY = ("AuxLogits.", "aux1.", "aux2.")  # heads that only training by the paper needs


def read_weights(arch: str, weights: str, *, download: bool) -> State:
    """Returns the weights that a name of torchvision's or a file holds, on the CPU.

    Raises:
        MlrunError: there is no such name or file, it is not at hand, or it is not what it
            should be.
    """
    members = models.get_model_weights(arch).__members__
    if weights.upper() in members:
        return read_file(
            cached_file(members[weights.upper()].url, weights, download=download), weights
        )
    path = at_home(weights)
    fault = fault_of_file(path)
    if not fault:
        return read_file(path, weights)
    if path.suffix or len(path.parts) > 1 or fault != "no such file":
        raise MlrunError(f"weights {weights}: {fault}")
    raise unknown(f"weights of {arch}", weights, members)


def cached_file(url: str, weights: str, *, download: bool) -> Path:
    """Returns where torch keeps the file of `url`, once it is there and its checksum right."""
    name = url.rpartition("/")[2]
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    prefix = name.rpartition(".")[0].rpartition("-")[2]
    if not path.is_file():
        if not download:
            raise MlrunError(
                f"weights {weights}: no {name} in {path.parent}; add --model.download true, or "
                f"put the file there, from {url}"
            )
        fetch(url, path, prefix)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(prefix):
        raise MlrunError(
            f"weights {weights}: {path} is damaged: its SHA-256 starts with {digest[:8]}, expected "
            f"{prefix}; delete it and fetch it again"
        )
    return path


def fetch(url: str, path: Path, prefix: str) -> None:
    """Downloads `url` to `path`; the SHA-256 must start with `prefix`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), prefix, progress=sys.stderr.isatty())
    except (OSError, RuntimeError) as error:
        raise MlrunError(
            f"{url} cannot be fetched ({one_line(error)}); put the file into {path.parent}"
        ) from error


def read_file(path: Path, weights: str) -> State:
    """Returns the weights in a file of torch's, out of any dictionary; nothing is unpickled."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # of many kinds, none with a clearer message
        raise MlrunError(
            f"weights {weights}: {path} is not what torch.save(model.state_dict(), …) writes"
        ) from None
    for wrapper in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()
    ):
        raise MlrunError(f"weights {weights}: {path} holds no state dict, names with their tensors")
    state: State = OrderedDict((plain_name(name), value) for name, value in content.items())
    # BatchNorm and MNASNet read from it how old the file is
    versions = {plain_name(name): v for name, v in getattr(content, "_metadata", {}).items()}
    state._metadata = versions  # type: ignore[attr-defined]
    return state


def plain_name(name: str) -> str:
    """Returns a weight's name without what DataParallel and old versions of torchvision add.

    >>> plain_name("module.features.denseblock1.denselayer1.norm.1.weight")
    'features.denseblock1.denselayer1.norm1.weight'
    """
    name = re.sub(r"^module(\.|$)", "", name)
    return re.sub(r"(denselayer\d+\.(?:norm|conv))\.(\d)", r"\1\2", name)


def load_into(
    model: nn.Module, state: State, *, first: str, head: str, replaced: set[str], what: str
) -> None:
    """Loads `state`, which it changes, into `model`.

    Args:
        first: the layer that sees the image; its kernels are carried over to other channels.
        head: the layer that makes the logits, or the new classifier; left as it is where `state`
            has none for so many classes.
        replaced: weights that a new classifier made superfluous.
        what: the beginning of an error's message.

    Raises:
        MlrunError: a weight is missing, unexpected, of another shape or not a number.
    """
    own = model.state_dict()
    kernels = f"{first}.weight"
    if kernels in state and state[kernels].ndim == 4:
        state[kernels] = carried_over(state[kernels], own[kernels].shape[1])
    heads = [name for name in own if name.startswith(f"{head}.")]
    if any(name not in state or len(state[name]) != len(own[name]) for name in heads):
        for name in heads:
            state.pop(name, None)
    else:
        heads = []
    for name in [name for name in state if name.startswith(AUXILIARY) or name in replaced]:
        del state[name]
    check_state(state, own, optional=heads, what=what)
    model.load_state_dict(state, strict=False)


def check_state(state: State, own: State, *, optional: list[str], what: str) -> None:
    """Raises MlrunError unless `state` has the names and shapes of `own`, and is finite."""
    missing = [
        name
        for name in own
        if not (name in state or name in optional or name.endswith("num_batches_tracked"))
    ]
    unexpected = [name for name in state if name not in own]
    if missing or unexpected:
        raise MlrunError(
            f"{what}: they are of another network: {len(missing)} weights are missing "
            f"({', '.join(missing[:3]) or 'none'}), {len(unexpected)} are unexpected "
            f"({', '.join(unexpected[:3]) or 'none'})"
        )
    for name, value in state.items():
        if value.shape != own[name].shape:
            raise MlrunError(
                f"{what}: {name} has shape {tuple(value.shape)}, expected {tuple(own[name].shape)}"
            )
        if not value.isfinite().all():
            raise MlrunError(f"{what}: {name} holds values that are no numbers")


def carried_over(kernels: Tensor, channels: int) -> Tensor:
    """Returns kernels (O, I, h, w) for another number of channels: (O, channels, h, w).

    For one channel they are summed, so that a grey image gives what it gave when repeated I
    times. For more they are taken in turn, times I / channels.
    """
    inputs = kernels.shape[1]
    if channels == 1:
        return kernels.sum(1, keepdim=True)
    return kernels[:, torch.arange(channels) % inputs] * (inputs / channels)
