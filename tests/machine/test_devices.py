"""The devices that are there."""

from __future__ import annotations

import pytest
import torch
from small_training import CPU

from mlrun.errors import MlrunError
from mlrun.machine import devices


def test_the_devices_that_are_there_end_with_the_cpu() -> None:
    present = devices.available()
    assert present[-1] == "cpu"
    assert devices.resolve("auto") == torch.device(present[0])
    assert devices.resolve("cpu") == CPU


@pytest.mark.parametrize("name", ["cuda:7", "gpu", "cpu:3", ""])
def test_an_absent_device_is_an_error_that_lists_what_there_is(name: str) -> None:
    with pytest.raises(MlrunError, match=rf"device {name} is not here; there are: .*cpu$"):
        devices.resolve(name)
