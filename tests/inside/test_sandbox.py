"""A visualiser cannot do harm: what it sees are copies, and the world is put back."""

from __future__ import annotations

import os
import random
import warnings
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from runs import TIMES
from views import CPU, convolutional, make_view

from mlrun import View
from mlrun.inside.sandbox import detached_copy, untouched


def test_a_copy_has_no_hooks_and_no_gradients_and_is_in_evaluation_mode() -> None:
    model = convolutional().train()
    fired: list[int] = []
    model[0].register_forward_hook(lambda *_: fired.append(1))
    model[0].register_forward_pre_hook(lambda *_: fired.append(2))
    model(torch.randn(2, 1, 6, 6)).sum().backward()
    fired.clear()
    twin = detached_copy(model)
    twin(torch.randn(2, 1, 6, 6))
    assert fired == []
    assert all(p.grad is None for p in twin.parameters())
    assert all(p.grad is not None for p in model.parameters())
    assert not any(module.training for module in twin.modules())
    assert model.training


def wreck(view: View) -> None:
    """Does to the process whatever a careless visualiser might."""
    with torch.no_grad():
        for parameter in view.model.parameters():
            parameter.zero_()
    view.model.train()
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    torch.set_grad_enabled(False)
    torch.use_deterministic_algorithms(True)
    torch.autograd.set_detect_anomaly(True)
    torch.set_float32_matmul_precision("medium")
    torch.backends.cudnn.benchmark = True
    torch.backends.mkldnn.enabled = False
    matplotlib.rcParams["figure.dpi"] = 7
    os.environ["WRECKED"] = "1"
    os.environ.pop("MLRUN_HOME", None)
    os.chdir("/")
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    np.set_printoptions(precision=1)


def world() -> list[Any]:
    return [
        torch.random.get_rng_state().tolist(),
        np.random.get_state()[1].tolist(),
        random.getstate(),
        torch.get_num_threads(),
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.is_grad_enabled(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_anomaly_enabled(),
        torch.get_float32_matmul_precision(),
        torch.backends.cudnn.benchmark,
        torch.backends.mkldnn.enabled,
        matplotlib.rcParams["figure.dpi"],
        dict(os.environ),
        Path.cwd(),
        list(warnings.filters),
        np.geterr(),
        np.get_printoptions(),
    ]


def test_the_world_is_put_back_also_after_an_error(home: object) -> None:
    before = world()

    def fail() -> None:
        with untouched(CPU):
            wreck(make_view(convolutional()))
            raise RuntimeError("wrecked")

    with pytest.raises(RuntimeError, match="wrecked"):
        fail()
    for was, now in zip(before, world(), strict=True):
        assert was == now


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
def test_a_visualiser_that_does_its_worst_changes_no_bit_of_the_training(
    store: str, tmp_path: Any
) -> None:
    import inspect

    import mlrun

    body = inspect.getsource(wreck).replace("view: View", "view")
    path = tmp_path / "vandal.py"
    path.write_text(
        "import os, random, warnings\n"
        "import matplotlib, mlrun, torch\n"
        "import numpy as np\n"
        f"{body}\n"
        "def vandal(view):\n"
        "    view.images('train').zero_()\n"
        "    view.evaluation('val').logits.zero_()\n"
        "    wreck(view)\n"
        "    return np.zeros((9, 9, 3), dtype='uint8')\n"
        "@mlrun.hookimpl\n"
        "def register_visualisers(register):\n"
        "    register(vandal, when='epoch')\n"
    )
    common = {"model": "mlp", "model.dropout": 0.5, "epochs": 2, "log_model": False}
    plain = mlrun.train({**common, "visualisers": "none"})
    wrecked = mlrun.train({**common, "visualisers": "vandal", "plugin": str(path)})
    assert wrecked.failures == {}
    same = {k: v for k, v in plain.metrics.items() if k not in TIMES}
    assert {k: wrecked.metrics[k] for k in same} == same
