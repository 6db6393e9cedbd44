"""Every model that is found keeps the contract, with its default options."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from mlrun import MlrunError
from mlrun.seam.registry import discover

Shape = tuple[int, int, int]
MODELS = [component.name for component in discover().of_kind("model")]
DATA: list[tuple[Shape, int]] = [
    ((1, 28, 28), 10),
    ((3, 32, 32), 3),
    ((1, 8, 8), 2),
    ((2, 1, 17), 7),
]
SMALLEST = {"lenet": 16}  # pixels, of those that do not take any size

every_model = pytest.mark.parametrize("name", MODELS)
every_data = pytest.mark.parametrize(("shape", "classes"), DATA)


def build(name: str, shape: Shape, classes: int, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    model: nn.Module = discover().find("model", name).function(shape, classes)
    return model


def fitting(name: str, shape: Shape) -> Shape:
    """The shape, or that of the smallest images that the model takes."""
    side = SMALLEST.get(name, 1)
    return shape[0], max(shape[1], side), max(shape[2], side)


@every_model
@every_data
def test_a_model_makes_logits_and_every_parameter_learns(
    name: str, shape: Shape, classes: int
) -> None:
    shape = fitting(name, shape)
    model = build(name, shape, classes)
    for mode in (False, True):
        logits = model.train(mode)(torch.randn(5, *shape))
        assert isinstance(logits, Tensor)
        assert logits.shape == (5, classes)
        assert logits.dtype == torch.float32
        assert logits.isfinite().all()
    logits.square().sum().backward()
    for path, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, path
            assert parameter.grad.isfinite().all(), path


@every_model
def test_its_state_carries_all_that_it_computes_with(name: str) -> None:
    shape, images = (3, 32, 32), torch.randn(4, 3, 32, 32)
    model, other = build(name, shape, 3, seed=0), build(name, shape, 3, seed=1)
    model(images)  # in training mode, so that running statistics move
    other.load_state_dict(model.state_dict())
    outputs = model.eval()(images)
    torch.testing.assert_close(other.eval()(images), outputs, rtol=0, atol=0)
    torch.testing.assert_close(copy.deepcopy(model)(images), outputs, rtol=0, atol=0)


@every_model
def test_a_copy_is_independent(name: str) -> None:
    model = build(name, (1, 28, 28), 10)
    before = copy.deepcopy(model.state_dict())
    copied = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in copied.parameters():
            parameter.add_(1)
    assert all(torch.equal(value, before[path]) for path, value in model.state_dict().items())


@every_model
def test_the_seed_decides_the_initialisation(name: str) -> None:
    one, same, other = (build(name, (1, 28, 28), 10, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[path], same[path]) for path in one)
    assert not all(torch.equal(one[path], other[path]) for path in one)


@every_model
@every_data
def test_in_evaluation_an_image_s_logits_do_not_depend_on_the_others(
    name: str, shape: Shape, classes: int
) -> None:
    shape = fitting(name, shape)
    model = build(name, shape, classes).eval()
    images = torch.randn(4, *shape)
    with torch.no_grad():
        together = model(images)
        alone = torch.cat([model(image[None]) for image in images])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@every_model
@every_data
def test_it_is_exported_for_batches_of_any_size(name: str, shape: Shape, classes: int) -> None:
    shape = fitting(name, shape)
    model = build(name, shape, classes).eval()
    batch = torch.export.Dim("batch")
    exported = torch.export.export(
        model, (torch.randn(2, *shape),), dynamic_shapes=({0: batch},)
    ).module()
    images = torch.randn(7, *shape)
    torch.testing.assert_close(exported(images), model(images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "side"), SMALLEST.items())
def test_images_that_are_too_small_are_refused(name: str, side: int) -> None:
    with pytest.raises((ValueError, MlrunError), match=f"{side} × {side}; model cnn takes any"):
        build(name, (1, side - 1, side), 10)
