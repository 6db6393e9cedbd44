"""Transforms of whole batches by amounts that are given, held against torchvision's and torch's."""

from __future__ import annotations

import pytest
import torch
import torchvision.transforms.v2.functional as reference
from torch import Tensor

from mlrun.data import transforms


def images_of(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def still(count: int) -> dict[str, Tensor]:
    """What warps a batch into itself."""
    nothing = torch.zeros(count)
    amounts = dict.fromkeys(("angle", "right", "down", "shear"), nothing)
    return {**amounts, "scale": nothing + 1}


BLACK = torch.zeros(1, 1, 1)


def test_a_rotation_is_torchvision_s_and_by_the_true_angle_also_of_a_long_image() -> None:
    images = images_of(3, 2, 10, 24)
    angles = torch.tensor([-35.0, 10.0, 90.0])
    found = transforms.warp(images, BLACK, **{**still(3), "angle": angles})
    for image, angle, turned in zip(images, angles.tolist(), found, strict=True):
        expected = reference.rotate(image, -angle, reference.InterpolationMode.BILINEAR)
        torch.testing.assert_close(turned, expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_quarter_turns_are_rot90(turns: int) -> None:
    images = images_of(2, 3, 9, 9)
    angle = torch.full((2,), 90.0 * turns)
    found = transforms.warp(images, BLACK, **{**still(2), "angle": angle})
    torch.testing.assert_close(found, torch.rot90(images, -turns, (2, 3)), atol=1e-5, rtol=0)


def test_a_bright_pixel_moves_by_whole_pixels_to_where_it_should() -> None:
    images = torch.zeros(1, 1, 8, 16)
    images[0, 0, 3, 5] = 1
    amounts = {**still(1), "right": torch.tensor([4 / 16]), "down": torch.tensor([-2 / 8])}
    expected = torch.zeros(1, 1, 8, 16)
    expected[0, 0, 1, 9] = 1
    torch.testing.assert_close(
        transforms.warp(images, BLACK, **amounts), expected, atol=1e-5, rtol=0
    )


def test_a_scale_above_one_enlarges_and_shear_leans_to_the_right() -> None:
    images = torch.zeros(1, 1, 17, 17)
    images[0, 0, 4:13, 4:13] = 1
    larger = transforms.warp(images, BLACK, **{**still(1), "scale": torch.tensor([1.5])})
    assert larger.sum().item() == pytest.approx(1.5**2 * 81, rel=0.04)
    leaning = transforms.warp(images, BLACK, **{**still(1), "shear": torch.tensor([45.0])})
    top, bottom = leaning[0, 0, 4], leaning[0, 0, 12]
    assert (top.argmax().item(), bottom.argmax().item()) == (8, 0)


def test_a_flipped_crop_is_flipped_first() -> None:
    images = images_of(1, 1, 4, 6)
    yes, no = torch.tensor([True]), torch.tensor([False])
    found = transforms.cut(
        images, BLACK, column=torch.tensor([2]), row=torch.tensor([0]), mirrored=yes, upturned=no
    )
    assert torch.equal(found[..., :4], images.flip(3)[..., 2:])
    assert not found[..., 4:].any()


@pytest.mark.parametrize(
    ("ratio", "shape", "size"),
    [(1.0, (20, 20), (10, 10)), (4.0, (20, 20), (20, 5)), (3.3, (10, 40), (10, 10)),
     (0.1, (40, 10), (10, 10))],
)  # fmt: skip
def test_an_erased_rectangle_too_long_for_the_image_keeps_its_area(
    ratio: float, shape: tuple[int, int], size: tuple[int, int]
) -> None:
    amounts = {"area": 0.25, "ratio": ratio, "left": 0.0, "top": 0.999}
    found = transforms.erase(
        torch.ones(1, 1, *shape), BLACK, **{k: torch.tensor([v]) for k, v in amounts.items()}
    )
    expected = torch.ones(1, 1, *shape)
    expected[..., shape[0] - size[0] :, : size[1]] = 0
    assert torch.equal(found, expected)
