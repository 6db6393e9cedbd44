"""Weights of torchvision's networks: from files, from torch's cache, from the network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mlflow import MlflowClient
from mlrun_models import torchvision as build
from networks import COLOUR, GREY, saved
from torch import Tensor, nn
from torchvision import models

import mlrun
from mlrun import MlrunError

SMALL = "squeezenet1_1"


@pytest.mark.parametrize("arch", ["resnet18", SMALL, "mnasnet0_5"])
def test_a_grey_image_gives_what_it_gave_when_repeated(tmp_path: Path, arch: str) -> None:
    own, path = saved(tmp_path, arch, num_classes=4)
    model = build((1, 64, 64), 4, arch=arch, weights=str(path)).eval()
    images = torch.randn(2, 1, 64, 64)
    expected = own(images.repeat(1, 3, 1, 1))
    assert expected.std() > 0
    torch.testing.assert_close(model(images), expected)


def test_other_channels_take_the_kernels_in_turn(tmp_path: Path) -> None:
    own, path = saved(tmp_path, "resnet18", num_classes=4)
    images = torch.randn(2, 3, 32, 32)
    doubled = build((6, 32, 32), 4, weights=str(path)).eval()
    torch.testing.assert_close(doubled(images.repeat(1, 2, 1, 1)), own(images))
    two = build((2, 32, 32), 4, weights=str(path)).conv1.weight
    torch.testing.assert_close(two, own.conv1.weight[:, :2] * 1.5)


def test_a_head_of_as_many_classes_is_kept_and_else_new(tmp_path: Path) -> None:
    own, path = saved(tmp_path, "resnet18", num_classes=4)
    kept = build(COLOUR, 4, weights=str(path)).eval()
    images = torch.randn(2, *COLOUR)
    torch.testing.assert_close(kept(images), own(images), rtol=0, atol=0)
    torch.manual_seed(3)
    new = build(COLOUR, 5, weights=str(path))
    torch.manual_seed(3)
    fresh = build(COLOUR, 5)
    assert torch.equal(new.fc.weight, fresh.fc.weight)
    assert torch.equal(new.layer4[1].conv2.weight, own.layer4[1].conv2.weight)
    assert torch.equal(new.bn1.running_mean, own.bn1.running_mean)


def test_weights_load_into_all_but_a_new_classifier(tmp_path: Path) -> None:
    own, path = saved(tmp_path, "mobilenet_v3_small", num_classes=4)
    model = build(COLOUR, 4, arch="mobilenet_v3_small", weights=str(path), classifier=(8,)).eval()
    images = torch.randn(2, *COLOUR)
    features = own.avgpool(own.features(images)).flatten(1)
    hidden = torch.relu(features @ model.classifier.fc1.weight.T + model.classifier.fc1.bias)
    expected = hidden @ model.classifier.out.weight.T + model.classifier.out.bias
    torch.testing.assert_close(model(images), expected)


def test_what_stands_before_a_classifier_s_linear_layers_keeps_its_weights(tmp_path: Path) -> None:
    torch.manual_seed(1)
    own = models.get_model("convnext_tiny", num_classes=4)
    nn.init.normal_(own.classifier[0].weight)
    torch.save(own.state_dict(), tmp_path / "own.pth")
    weights = str(tmp_path / "own.pth")
    model = build(COLOUR, 4, arch="convnext_tiny", weights=weights, classifier="linear")
    assert torch.equal(model.classifier[0].weight, own.classifier[0].weight)
    assert not torch.equal(model.classifier.head.out.weight, own.classifier[2].weight)


def test_a_new_classifier_of_the_same_sizes_is_kept_and_else_new(tmp_path: Path) -> None:
    first = build(COLOUR, 4, classifier=(8,))
    path = tmp_path / "first.pth"
    torch.save(first.state_dict(), path)
    kept = build(COLOUR, 4, weights=str(path), classifier=(8,)).state_dict()
    assert all(torch.equal(kept[name], value) for name, value in first.state_dict().items())
    for classes, hidden in ((5, 8), (4, 6)):
        new = build(COLOUR, classes, weights=str(path), classifier=(hidden,))
        assert new.fc.out.weight.shape == (classes, hidden)
        assert not torch.equal(new.fc.fc1.weight[:6], first.fc.fc1.weight[:6])
        assert torch.equal(new.layer4[1].conv2.weight, first.layer4[1].conv2.weight)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"epoch": 3, "model": state},
        lambda state: {f"module.{name}": value for name, value in state.items()},
        lambda state: {"model": {f"module.{name}": value for name, value in state.items()}},
        lambda state: {name: v for name, v in state.items() if not name.startswith("fc.")},
        lambda state: {name: v for name, v in state.items() if "num_batches" not in name},
    ],
)
def test_what_training_scripts_wrap_around_weights_is_taken_off(
    tmp_path: Path, wrap: Callable[[dict[str, Tensor]], Any]
) -> None:
    own, path = saved(tmp_path, "resnet18", num_classes=4)
    torch.save(wrap(own.state_dict()), path)
    model = build(COLOUR, 4, weights=str(path))
    assert torch.equal(model.layer4[1].conv2.weight, own.layer4[1].conv2.weight)


def test_the_names_that_densenet_once_had_are_read(tmp_path: Path) -> None:
    own, path = saved(tmp_path, "densenet121", num_classes=4)
    older = {
        name.replace("norm1", "norm.1").replace("conv2", "conv.2"): value
        for name, value in own.state_dict().items()
    }
    assert older.keys() != own.state_dict().keys()
    torch.save(older, path)
    images = torch.randn(2, *COLOUR)
    torch.testing.assert_close(
        build(COLOUR, 4, arch="densenet121", weights=str(path)).eval()(images), own(images)
    )


@pytest.mark.parametrize(("arch", "size"), [("googlenet", 32), ("inception_v3", 75)])
def test_the_inceptions_equal_torchvision_s_under_the_normalisation_that_is_documented(
    tmp_path: Path, arch: str, size: int
) -> None:
    own, path = saved(
        tmp_path, arch, num_classes=4, transform_input=True, aux_logits=True, init_weights=False
    )
    model = build((3, size, size), 4, arch=arch, weights=str(path)).eval()
    pixels = torch.rand(2, 3, size, size)
    mean, std = (
        torch.tensor(v).view(3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    )
    torch.testing.assert_close(model((pixels - 0.5) / 0.5), own((pixels - mean) / std))


def test_a_vision_transformer_keeps_the_size_of_its_weights(tmp_path: Path) -> None:
    own, path = saved(tmp_path, "vit_b_32", num_classes=4, image_size=96)
    model = build((3, 32, 32), 4, arch="vit_b_32", weights=str(path)).eval()
    images = torch.randn(1, 3, 32, 32)
    larger = nn.functional.interpolate(images, (96, 96), mode="bilinear")
    torch.testing.assert_close(model(images), own(larger))


def test_a_checkpoint_of_a_run_is_a_file_of_weights(store: str, home: Path) -> None:
    settings = {"model": "torchvision", "model.arch": SMALL, "subset": 60, "visualisers": "none"}
    run = mlrun.train({**settings, "epochs": 1, "log_model": False})
    path = Path(MlflowClient().download_artifacts(run.run_id, "checkpoints/epoch-1.pt", str(home)))
    trained = torch.load(path, weights_only=True)["model"]
    again = build((1, 8, 8), 10, arch=SMALL, weights=str(path)).state_dict()
    assert all(torch.equal(again[name], value) for name, value in trained.items())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"GIF89a", r"is not what torch\.save\(model\.state_dict\(\), …\) writes"),
        (nn.Linear(1, 1), r"is not what torch\.save\(model\.state_dict\(\), …\) writes"),
        ([1, 2], "holds no state dict"),
        ({"epoch": 3}, "holds no state dict"),
    ],
)
def test_a_file_that_holds_no_weights_is_refused(
    tmp_path: Path, content: Any, message: str
) -> None:
    path = tmp_path / "some.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(MlrunError, match=message) as caught:
        build(GREY, 10, weights=str(path))
    assert str(path) in str(caught.value)
    assert caught.value.__cause__ is None
    assert "\n" not in str(caught.value)


def test_weights_of_another_network_are_refused_by_name(tmp_path: Path) -> None:
    own, path = saved(tmp_path, "resnet34", num_classes=10)
    with pytest.raises(
        MlrunError, match=r"in resnet18: .*0 weights are missing \(none\).*layer1\.2\.conv1\.weight"
    ):
        build(COLOUR, 10, weights=str(path))
    with pytest.raises(MlrunError, match=r"in resnet50: .*missing \(.*layer1\.0\.conv3\.weight"):
        build(COLOUR, 10, arch="resnet50", weights=str(path))
    state = {
        name: v
        for name, v in own.state_dict().items()
        if name[:9]
        not in (
            "layer1.2.",
            "layer2.2.",
            "layer2.3.",
            "layer3.2.",
            "layer3.3.",
            "layer3.4.",
            "layer3.5.",
            "layer4.2.",
        )
    }
    torch.save(state | {"bn1.bias": torch.zeros(3)}, path)
    with pytest.raises(MlrunError, match=r"bn1\.bias has shape \(3,\), expected \(64,\)"):
        build(COLOUR, 10, weights=str(path))
    torch.save(state | {"bn1.bias": torch.full((64,), torch.nan)}, path)
    with pytest.raises(MlrunError, match=r"bn1\.bias holds values that are no numbers"):
        build(COLOUR, 10, weights=str(path))


def test_a_head_is_trained_on_frozen_layers_from_settings_to_the_served_model(
    store: str, tmp_path: Path
) -> None:
    _, path = saved(tmp_path, "resnet18", num_classes=4)
    run = mlrun.train(
        {
            "model": "torchvision",
            "model.weights": str(path),
            "model.train": "layer4.1.bn2,head",
            "subset": 100,
            "epochs": 1,
            "visualisers": "none",
        }
    )
    assert run.failures == {}
    client = MlflowClient()
    assert client.get_run(run.run_id).data.params["model.train"] == "layer4.1.bn2,head"
    file = client.download_artifacts(run.run_id, "checkpoints/epoch-1.pt", str(tmp_path))
    after, before = (
        torch.load(file, weights_only=True)["model"],
        torch.load(path, weights_only=True),
    )
    differing = {name for name, value in after.items() if not before[name].equal(value)}
    assert {name.rpartition(".")[0] for name in differing} == {"conv1", "fc", "layer4.1.bn2"}
    torch.testing.assert_close(after["conv1.weight"], before["conv1.weight"].sum(1, keepdim=True))
