"""Batch normalisation over the images of several processes, here of one: what torch makes of it."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from mlrun.machine.group import ALONE, Group
from mlrun.machine.place import Place
from mlrun.training.synchronised import Synchronised


def trained(layer: nn.Module, images: Tensor, *, synchronised: bool) -> list[Tensor]:
    """Output, gradients and buffers of a layer after a step on images."""
    layer, images = copy.deepcopy(layer), images.clone().requires_grad_()
    if synchronised:
        with Synchronised(ALONE, counts=True):
            outputs = layer(images)
    else:
        outputs = layer(images)
    outputs.square().mul(torch.arange(outputs.numel()).view_as(outputs) % 7).sum().backward()
    gradients = [tensor.grad for tensor in (images, *layer.parameters()) if tensor.grad is not None]
    return [outputs.detach(), *gradients, *layer.buffers()]


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.BatchNorm1d(5), (7, 5)),
        (nn.BatchNorm1d(5), (7, 5, 3)),
        (nn.BatchNorm2d(5), (7, 5, 3, 2)),
        (nn.BatchNorm3d(5), (4, 5, 3, 2, 2)),
        (nn.BatchNorm2d(5, affine=False), (7, 5, 3, 2)),
        (nn.BatchNorm2d(5, momentum=None), (7, 5, 3, 2)),
        (nn.BatchNorm2d(5, track_running_stats=False), (7, 5, 3, 2)),
        (nn.BatchNorm2d(5).eval(), (7, 5, 3, 2)),
        (nn.Sequential(nn.Conv2d(5, 4, 2), nn.BatchNorm2d(4), nn.ReLU()), (7, 5, 3, 2)),
    ],
)
def test_of_one_process_it_is_torchs_own(layer: nn.Module, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    layer, images = layer.double(), torch.randn(shape, dtype=torch.float64) * 3 + 1
    ours, theirs = (trained(layer, images, synchronised=which) for which in (True, False))
    for own, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-10, atol=1e-10)


def test_images_of_few_bits_give_outputs_of_few_and_statistics_of_many() -> None:
    images = torch.randn(64, 3, 4, 4, dtype=torch.bfloat16) + 5
    ours, theirs = (
        trained(nn.BatchNorm2d(3), images, synchronised=which) for which in (True, False)
    )
    assert [tensor.dtype for tensor in ours] == [tensor.dtype for tensor in theirs]
    torch.testing.assert_close(ours[-3:], theirs[-3:], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours[0], theirs[0], rtol=0.02, atol=0.02)


class AnotherHas(Group):
    """A group of two, whose other process has images of its own."""

    def __init__(self, others: Tensor) -> None:
        super().__init__(Place(1, 2))
        self.others = others

    def stack(self, tensor: Tensor) -> Tensor:
        return torch.stack([self.others, tensor])


def test_images_that_stand_in_for_none_have_no_part_in_it() -> None:
    layer = nn.BatchNorm1d(2).double()
    others = torch.tensor([[4.0, 4.0], [1.0, 2.0], [0.5, 3.0]], dtype=torch.float64)
    images = torch.full((2, 2), 100.0, dtype=torch.float64, requires_grad=True)
    with Synchronised(AnotherHas(others), counts=False):
        outputs = layer(images)
    (outputs * 0).sum().backward()
    assert layer.running_mean.tolist() == pytest.approx([0.1, 0.2])
    assert layer.running_var.tolist() == pytest.approx([0.9 + 0.1 * 0.5 * 4 / 3, 0.9 + 0.4])
    assert images.grad is not None
    assert not images.grad.any()
    assert outputs[0, 0].item() == pytest.approx(99 / (0.5 + 1e-5) ** 0.5)
