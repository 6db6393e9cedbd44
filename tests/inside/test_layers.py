"""The table of layers, in a dry run and in model-summary.txt."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from runs import QUICK, plugin, read
from torch import Tensor, nn

import mlrun
from mlrun.inside.layers import layer_table, layers_of
from mlrun.seam.registry import discover

Command = Callable[..., tuple[int, str, str]]
CPU = torch.device("cpu")
MODELS = [component.name for component in discover().of_kind("model")]


def build(name: str, shape: tuple[int, ...], classes: int, **options: object) -> nn.Module:
    model: nn.Module = discover().find("model", name).function(shape, classes, **options)
    return model


def shapes(model: nn.Module, *shape: int) -> dict[str, tuple[int, ...] | None]:
    return {layer.name: layer.shape for layer in layers_of(model, torch.zeros(1, *shape))}


@pytest.mark.parametrize(
    ("model", "count"),
    [
        (build("logistic", (1, 28, 28), 26), 20_410),
        (nn.Sequential(nn.Conv2d(1, 4, 5), nn.ReLU(), nn.Flatten(), nn.Linear(2304, 26)), 60_034),
    ],
)
def test_published_counts_of_parameters(model: nn.Module, count: int) -> None:
    last = layer_table(model, (1, 28, 28), CPU).splitlines()[-1]
    assert last == f"{count:,} parameters: {count:,} trained, 0 frozen"


def test_lenet_is_a_table_with_the_published_shapes() -> None:
    assert layer_table(build("lenet", (1, 28, 28), 10), (1, 28, 28), CPU) == (
        "layer    type       output       parameters  trained\n"
        "(image)             1 × 28 × 28\n"
        "conv1    Conv2d     6 × 24 × 24         156  yes\n"
        "pool1    MaxPool2d  6 × 12 × 12\n"
        "act1     ReLU       6 × 12 × 12\n"
        "conv2    Conv2d     16 × 8 × 8        2,416  yes\n"
        "pool2    MaxPool2d  16 × 4 × 4\n"
        "act2     ReLU       16 × 4 × 4\n"
        "flatten  Flatten    256\n"
        "fc1      Linear     120              30,840  yes\n"
        "act3     ReLU       120\n"
        "fc2      Linear     84               10,164  yes\n"
        "act4     ReLU       84\n"
        "out      Linear     10                  850  yes\n"
        "\n"
        "44,426 parameters: 44,426 trained, 0 frozen\n"
    )


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_of_every_model_is_counted_once(name: str) -> None:
    model = build(name, (3, 32, 32), 7)
    layers = layers_of(model, torch.zeros(1, 3, 32, 32))
    assert sum(x.trained + x.frozen for x in layers) == sum(p.numel() for p in model.parameters())
    assert {x.name for x in layers} <= {name for name, _ in model.named_modules()}
    assert layers[-1].shape == (7,)
    table = layer_table(model, (3, 32, 32), CPU)
    assert max(map(len, table.splitlines())) <= 98


def test_a_table_leaves_the_model_and_the_random_states_as_they_were() -> None:
    model = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Dropout(0.5)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    states = torch.random.get_rng_state()
    layer_table(model, (1, 4, 4), CPU)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert model[2].training
    assert torch.equal(torch.random.get_rng_state(), states)
    assert not model[0]._forward_hooks


class Odd(nn.Module):
    """Calls its layers in another order than it names them, one twice and one never."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(6, 3, bias=False)
        self.unused = nn.Linear(2, 2)
        self.first = nn.Linear(4, 6)
        self.again = nn.Linear(6, 6)
        self.again.weight.requires_grad_(False)
        self.tied = nn.Linear(4, 6)
        self.tied.weight = self.first.weight
        self.tied.requires_grad_(False)
        self.scale = nn.Parameter(torch.ones(5))

    def forward(self, images: Tensor) -> Tensor:
        hidden = self.first(images.flatten(1))
        return self.out(self.again(self.again(hidden)) + self.tied(images.flatten(1)))


def test_layers_come_as_they_are_called_and_parameters_count_where_they_come_first() -> None:
    rows = [
        (x.name, x.shape, x.trained, x.frozen) for x in layers_of(Odd(), torch.zeros(1, 1, 2, 2))
    ]
    assert rows == [
        ("first", (6,), 6, 24),  # the weight is the frozen one of `tied`
        ("again", (6,), 6, 36),
        ("tied", (6,), 0, 6),
        ("out", (3,), 18, 0),
        ("", (3,), 5, 0),
        ("unused", None, 6, 0),
    ]
    lines = layer_table(Odd(), (1, 2, 2), CPU).splitlines()
    assert [line.split()[-1] for line in lines[2:8]] == ["partly", "partly", "no"] + ["yes"] * 3
    assert lines[-1] == "107 parameters: 41 trained, 66 frozen"
    assert lines[6].split()[0] == "(model)"
    assert lines[7].split()[2] == "-"


def test_attention_shows_what_it_puts_out_and_its_hidden_projection() -> None:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attend = nn.MultiheadAttention(4, 2, batch_first=True)
            self.out = nn.Linear(4, 3)

        def forward(self, images: Tensor) -> Tensor:
            rows = images.squeeze(1)
            return self.out(self.attend(rows, rows, rows)[0].mean(1))

    found = shapes(Attention(), 1, 5, 4)
    assert found == {"attend": (5, 4), "attend.out_proj": None, "out": (3,)}


def test_what_a_copy_cannot_follow_leaves_the_counts() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    model.kept = torch.zeros(1, requires_grad=True) * 2  # which deepcopy refuses
    assert shapes(model, 1, 2, 2) == {"0": None, "1": None}
    assert "15 parameters: 15 trained" in layer_table(model, (1, 2, 2), CPU)


def test_a_dry_run_prints_the_layers_below_the_settings_and_leaves_no_trace(
    home: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # nobody answers there
    state = Path(os.environ["MLRUN_HOME"])
    code, stdout, stderr = command("train", "--model", "logistic", "--dry-run")
    assert (code, stderr) == (0, "")
    settings, _, table = stdout.partition("\n\n")
    assert yaml.safe_load(stdout) == yaml.safe_load(settings)
    assert table.splitlines()[-1] == "# 650 parameters: 650 trained, 0 frozen"
    assert list(home.iterdir()) == []
    assert not state.exists()


def test_a_run_keeps_the_table_that_a_dry_run_prints(store: str, command: Command) -> None:
    run = mlrun.train(QUICK)
    options = [f"--{name}={value}" for name, value in QUICK.items()]
    _, stdout, _ = command("train", *options, "--dry-run")
    comments = [line[2:] for line in stdout.splitlines() if line.startswith("#")]
    assert comments == read(run.run_id, "model-summary.txt").decode().splitlines()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--dataset", "mnist"], "data set mnist: no train-images-idx3-ubyte in data/MNIST/raw"),
        (["--device", "tpu"], "device tpu is not here; there are: "),
        (["--model", "lenet"], "model lenet: cannot be built for images (1, 8, 8) and 10 classes"),
        (["--subset", "5000"], "data set digits: subset 5000: the training part has only 1437 im"),
        (["--plugin", "mine.py", "--model", "mine"], "model mine and data set digits do not fit"),
    ],
)
def test_a_dry_run_finds_out_what_a_run_would(
    home: Path, command: Command, args: list[str], message: str
) -> None:
    code = """
def mine(shape, classes):
    from torch import nn
    return nn.Flatten()

@mlrun.hookimpl
def register_models(register):
    register(mine)
"""
    plugin(home, code)
    code, stdout, stderr = command("train", *args, "--dry-run")
    assert (code, stdout) == (2, "")
    assert stderr.splitlines()[-1].startswith(f"Error: {message}")


def test_a_dry_run_warns_as_a_run_does_also_when_it_is_quiet(
    home: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLRUN_PLUGINS", "mlrun-models,mlrun-datasets,none")
    options = ["--model", "logistic", "--visualisers", "none", "--validation", "0.002"]
    for quiet in ([], ["--quiet"]):
        _, _, stderr = command("train", *options, "--dry-run", *quiet)
        assert "Warning: MLRUN_PLUGINS names none, which is not installed" in stderr
        assert "Warning: the validation part has no image of" in stderr
