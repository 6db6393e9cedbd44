"""Isolation of visualisers: a copy of the model, and the process's state restored afterwards."""

from __future__ import annotations

import copy
import os
import random
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import numpy as np
import torch
from torch import nn

from mlrun.machine.devices import set_deterministic
from mlrun.machine.randomness import own_random_states


def detached_copy(model: nn.Module) -> nn.Module:
    """Returns a copy of `model` in evaluation mode, without gradients or hooks.

    Hooks are copied with a module, and would change objects of the original's owner.
    """
    twin = copy.deepcopy(model)
    for module in twin.modules():
        for hooks in (
            module._forward_hooks,
            module._forward_pre_hooks,
            module._backward_hooks,
            module._backward_pre_hooks,
        ):
            hooks.clear()
    for parameter in twin.parameters():
        parameter.grad = None
    return twin.eval()


@contextmanager
def untouched(device: torch.device) -> Iterator[None]:
    """Restores the process's state afterwards, also after an exception.

    Random states (torch on the CPU and on `device`, NumPy, random), torch's threads, default
    dtype and device, grad mode, determinism, anomaly mode, matmul precision, cuDNN and
    MKL-DNN flags; matplotlib's settings; working directory, environment, warnings, NumPy's
    error handling and print options.
    """
    import matplotlib

    numpy_state, python_state = np.random.get_state(), random.getstate()
    environment, folder = dict(os.environ), os.getcwd()  # noqa: PTH109  # a path may be gone
    errors, printing = np.geterr(), np.get_printoptions()
    with ExitStack() as stack:
        stack.enter_context(own_random_states(device))
        stack.enter_context(torch_settings())
        stack.enter_context(matplotlib.rc_context())
        stack.enter_context(warnings.catch_warnings())
        try:
            yield
        finally:
            np.random.set_state(numpy_state)
            random.setstate(python_state)
            np.seterr(**errors)
            np.set_printoptions(**printing)
            if dict(os.environ) != environment:
                os.environ.clear()
                os.environ.update(environment)
            with suppress(OSError):
                os.chdir(folder)


@contextmanager
def torch_settings() -> Iterator[None]:
    """Restores torch's global settings afterwards."""
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    device, grad = torch.get_default_device(), torch.is_grad_enabled()
    deterministic = torch.are_deterministic_algorithms_enabled()
    only_warn = torch.is_deterministic_algorithms_warn_only_enabled()
    anomaly, check_nan = torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()
    precision = torch.get_float32_matmul_precision()
    cudnn, mkldnn = torch.backends.cudnn, torch.backends.mkldnn
    flags = (cudnn.enabled, cudnn.benchmark, cudnn.deterministic, mkldnn.enabled)
    try:
        yield
    finally:
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        torch.set_default_dtype(dtype)
        if torch.get_default_device() != device:
            torch.set_default_device(device if device.type != "cpu" else None)
        torch.set_grad_enabled(grad)
        set_deterministic(deterministic, warn_only=only_warn)
        torch.autograd.set_detect_anomaly(anomaly, check_nan)
        torch.set_float32_matmul_precision(precision)
        cudnn.enabled, cudnn.benchmark, cudnn.deterministic, mkldnn.enabled = flags
