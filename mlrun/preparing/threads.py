"""How many CPU threads a training is worth: a function of its settings, not of a timing."""

from __future__ import annotations

import math
import os

import torch
from torch import nn

from mlrun.inside.layers import layers_of
from mlrun.settings import Settings

WORK_OF_A_THREAD = 2_000_000  # multiplications of a step's forward pass


def use_threads(
    settings: Settings,
    model: nn.Module,
    shape: tuple[int, int, int],
    device: torch.device,
    processes: int = 1,
) -> None:
    """Has torch use as many CPU threads as a step of `model` is worth, unless `threads` is set.

    To wake a thread and to wait for it takes some µs in each operation, and a core that is left
    alone sends what is logged: with less than 4 million multiplications a step, one thread is
    no slower than two. Of an accelerator nothing is known.

    Args:
        settings: of the run.
        model: on the device; not changed.
        shape: of one image, (C, H, W).
        device: where it is trained.
        processes: how many share each step.
    """
    if settings.threads or device.type != "cpu":
        return
    work = settings.batch_size * multiplications(model, shape) // processes
    if work:
        most = torch.get_num_threads()
        torch.set_num_threads(min(most, max(1, work // WORK_OF_A_THREAD)))


def use_number_of_threads(text: str, device: torch.device) -> None:
    """Has torch use as many CPU threads as an earlier run did, whose bits depend on them.

    Args:
        text: the number; what is none, or more than there are processors, changes nothing.
        device: where it is trained.
    """
    if device.type == "cpu" and text.isdecimal() and 0 < int(text) <= (os.cpu_count() or 1):
        torch.set_num_threads(int(text))


def multiplications(model: nn.Module, shape: tuple[int, int, int]) -> int:
    """Returns how often `model` multiplies by a parameter for one image (C, H, W).

    Each parameter of a layer counts once for each place of what the layer puts out; what is
    done outside of layers is not seen. 0 where nothing is.
    """
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    return sum(
        (layer.trained + layer.frozen) * math.prod(layer.shape[1:])
        for layer in layers_of(model, torch.zeros(1, *shape, device=device))
        if layer.shape is not None
    )
