"""Random changes of whole batches, held against torchvision image by image."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import torchvision.transforms.v2.functional as reference
from torch import Tensor

from mlrun.data.augmentation import Augmentation
from mlrun.data.normalisation import Normalisation
from mlrun.settings.augmentation import AugmentationSettings

OPTIONS: dict[str, dict[str, Any]] = {
    "rotate": {"rotate": 30},
    "translate": {"translate": 0.2},
    "scale": {"scale": (0.7, 1.4)},
    "shear": {"shear": 20},
    "flip": {"flip": "both"},
    "crop": {"crop": 3},
    "erase": {"erase": 0.5},
    "noise": {"noise": 0.1},
}


def images_of(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def augmenting(**options: Any) -> Augmentation:
    return Augmentation(AugmentationSettings(**options))


def change(
    augmentation: Augmentation,
    images: Tensor,
    *,
    seed: int = 0,
    fill: Tensor | None = None,
    unit: Tensor | None = None,
) -> Tensor:
    """Augments pixels that are 0–1, unless fill and unit say otherwise."""
    ones = torch.ones(images.shape[1], 1, 1)
    return augmentation(
        images,
        seed=seed,
        fill=0 * ones if fill is None else fill,
        unit=ones if unit is None else unit,
    )


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 12, 20), (2, 31, 9), (3, 1, 1), (1, 1, 7)])
@pytest.mark.parametrize("on", ["rotate", "translate", "scale", "shear", "all"])
def test_one_sampling_is_torchvision_s_affine_of_each_image(
    shape: tuple[int, int, int], on: str
) -> None:
    names = ["rotate", "translate", "scale", "shear"] if on == "all" else [on]
    augmentation = augmenting(**{k: v for name in names for k, v in OPTIONS[name].items()})
    images = images_of(16, *shape)
    found = change(augmentation, images, seed=5)
    drawn = augmentation.draw(16, seed=5)
    _, height, width = shape
    for i in range(16):
        expected = reference.affine(
            images[i],
            angle=drawn.angle[i].item(),
            translate=[drawn.right[i].item() * width, drawn.down[i].item() * height],
            scale=drawn.scale[i].item(),
            shear=[drawn.shear[i].item(), 0.0],
            interpolation=reference.InterpolationMode.BILINEAR,
        )
        torch.testing.assert_close(found[i], expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize("shape", [(1, 6, 6), (3, 5, 8), (2, 1, 1)])
@pytest.mark.parametrize(
    ("flip", "axes"), [("horizontal", [3]), ("vertical", [2]), ("both", [2, 3])]
)
def test_flips_are_torch_s_flip_of_about_half_of_the_images(
    flip: Any, axes: list[int], shape: tuple[int, int, int]
) -> None:
    augmentation = augmenting(flip=flip)
    images = images_of(400, *shape)
    drawn = augmentation.draw(400, seed=1)
    expected = images
    for axis in axes:
        flipped = (drawn.mirrored if axis == 3 else drawn.upturned) < 0.5
        assert 160 < flipped.sum() < 240
        expected = torch.where(flipped[:, None, None, None], expected.flip(axis), expected)
    assert torch.equal(change(augmentation, images, seed=1), expected)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 5, 9), (1, 1, 1)])
def test_a_crop_is_a_cut_from_the_padded_image(shape: tuple[int, int, int]) -> None:
    augmentation = augmenting(crop=2)
    images = images_of(200, *shape)
    drawn = augmentation.draw(200, seed=3)
    assert set(drawn.row.tolist()) == set(drawn.column.tolist()) == {-2, -1, 0, 1, 2}
    fill = torch.full((shape[0], 1, 1), -0.4)
    found = change(augmentation, images, seed=3, fill=fill)
    padded = F.pad(images, (2, 2, 2, 2), value=-0.4)
    for i in range(200):
        top, left = int(drawn.row[i]) + 2, int(drawn.column[i]) + 2
        assert torch.equal(found[i], padded[i, :, top : top + shape[1], left : left + shape[2]])


@pytest.mark.parametrize("shape", [(32, 32), (24, 60)])
def test_erasing_blackens_one_rectangle_of_the_stated_area_and_ratio(
    shape: tuple[int, int],
) -> None:
    found = change(augmenting(erase=1), torch.ones(2000, 2, *shape), seed=2)
    black = found == 0
    assert torch.equal(black[:, 0], black[:, 1])
    assert torch.equal(found[~black], torch.ones_like(found[~black]))
    rows, columns = black[:, 0].any(2), black[:, 0].any(1)
    high, wide = rows.sum(1), columns.sum(1)
    assert torch.equal(black[:, 0], rows[:, :, None] & columns[:, None, :])
    assert torch.equal(black[:, 0].sum((1, 2)), high * wide)
    share = high * wide / (shape[0] * shape[1])
    assert 0.015 < share.min() < 0.03
    assert 0.31 < share.max() < 0.35
    assert share.mean().item() == pytest.approx(0.175, abs=0.008)
    ratio = (high / wide).log()
    fits = (high < shape[0]) & (wide < shape[1])
    assert math.log(0.2) < ratio[fits].min() < math.log(0.4)
    assert math.log(2.6) < ratio[fits].max() < math.log(4.5)
    # every pixel's turn comes, the corners' too
    assert black[:, 0].any(0).all()


def test_as_many_are_erased_as_the_probability_says() -> None:
    found = change(augmenting(erase=0.3), torch.ones(2000, 1, 16, 16), seed=2)
    assert (found == 0).any(3).any(2).float().mean().item() == pytest.approx(0.3, abs=0.04)


def test_noise_has_the_stated_deviation_and_stays_within_the_pixels() -> None:
    to = Normalisation((0.3, 0.5), (0.2, 0.4))
    grey = to(torch.full((500, 2, 8, 8), 127.5))
    fill, unit = to.shift, 255 * to.scale
    noised = change(augmenting(noise=0.1), grey, fill=fill, unit=unit)
    pixels = (noised - fill) / unit
    assert pixels.std((0, 2, 3)).tolist() == pytest.approx([0.1, 0.1], rel=0.02)
    assert pixels.mean().item() == pytest.approx(0.5, abs=0.002)
    strong = (change(augmenting(noise=2.0), grey, fill=fill, unit=unit) - fill) / unit
    assert strong.min().item() == pytest.approx(0, abs=1e-6)
    assert strong.max().item() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("on", [name for name in OPTIONS if name != "noise"])
def test_black_stays_exactly_black_on_standardised_images(on: str) -> None:
    to = Normalisation((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
    black = to(torch.zeros(32, 3, 9, 9))
    found = change(augmenting(**OPTIONS[on]), black, fill=to.shift, unit=255 * to.scale)
    assert torch.equal(found, black)


def test_changing_and_standardising_may_be_exchanged() -> None:
    to = Normalisation((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
    pixels = images_of(32, 3, 9, 14)
    everything = augmenting(**{k: v for on in OPTIONS.values() for k, v in on.items()})
    expected = to(255 * change(everything, pixels))
    found = change(everything, to(255 * pixels), fill=to.shift, unit=255 * to.scale)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_draws_are_uniform_within_their_bounds() -> None:
    drawn = augmenting(rotate=20, translate=0.1, scale=(0.5, 2.0), shear=8).draw(4000, seed=4)
    for values, low, high in [
        (drawn.angle, -20, 20),
        (drawn.right, -0.1, 0.1),
        (drawn.down, -0.1, 0.1),
        (drawn.scale, 0.5, 2.0),
        (drawn.shear, -8, 8),
    ]:
        share = (values - low) / (high - low)
        assert 0 <= share.min() < 0.01
        assert 0.99 < share.max() <= 1
        counts = torch.histc(share, 8, 0, 1)  # 500 each, with a deviation of 21
        assert (counts - 500).abs().max() < 100
    apart = torch.corrcoef(torch.stack(augmenting(rotate=1, scale=(1, 2)).draw(4000, seed=4)[:4]))
    assert apart[0, 3].abs() < 0.06


@pytest.mark.parametrize("on", OPTIONS)
def test_the_draws_of_an_option_do_not_depend_on_what_else_is_on(on: str) -> None:
    everything = {k: v for option in OPTIONS.values() for k, v in option.items()}
    alone = augmenting(**OPTIONS[on]).draw(50, seed=6)
    together = augmenting(**everything).draw(50, seed=6)
    fields = {
        "rotate": ["angle"],
        "translate": ["right", "down"],
        "scale": ["scale"],
        "shear": ["shear"],
        "flip": ["mirrored", "upturned"],
        "crop": ["column", "row"],
        "erase": ["erased", "area", "ratio", "left", "top"],
        "noise": [],
    }
    for field in fields[on]:
        assert torch.equal(getattr(alone, field), getattr(together, field))
    grey = torch.full((50, 1, 9, 9), 0.5)  # which only noise would change further
    noised = change(augmenting(noise=0.1, **OPTIONS["flip"]), grey, seed=6)
    assert torch.equal(noised, change(augmenting(noise=0.1), grey, seed=6))


@pytest.mark.parametrize("on", OPTIONS)
def test_each_option_changes_images_and_their_own_seed_decides(on: str) -> None:
    augmentation = augmenting(**OPTIONS[on])
    images = images_of(64, 2, 10, 12)
    kept, state = images.clone(), torch.get_rng_state()
    found = change(augmentation, images, seed=7)
    assert augmentation.active
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(images, kept)
    assert (found.shape, found.dtype) == (images.shape, torch.float32)
    assert not torch.equal(found, images)
    assert torch.equal(found, change(augmentation, images, seed=7))
    assert not torch.equal(found, change(augmentation, images, seed=8))
    # no two of the same image come out alike, but for flips and what is not erased
    same = change(augmentation, images[:1].expand(64, -1, -1, -1), seed=7)
    assert len({tuple(image.flatten().tolist()) for image in same}) > (3 if on == "flip" else 20)


@pytest.mark.parametrize("on", [name for name in OPTIONS if name != "noise"])
def test_a_longer_batch_begins_as_a_shorter_one(on: str) -> None:
    augmentation, images = augmenting(**OPTIONS[on]), images_of(64, 1, 10, 12)
    torch.testing.assert_close(
        change(augmentation, images, seed=7)[:24], change(augmentation, images[:24], seed=7)
    )


@pytest.mark.parametrize("on", OPTIONS)
def test_the_layout_in_memory_does_not_matter(on: str) -> None:
    images = images_of(32, 3, 10, 12)
    last = images.to(memory_format=torch.channels_last)
    found = change(augmenting(**OPTIONS[on]), last)
    torch.testing.assert_close(found, change(augmenting(**OPTIONS[on]), images))


def test_autocast_does_not_blur_the_grid() -> None:
    images = images_of(4, 1, 64, 64)
    plain = change(augmenting(rotate=20), images)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = change(augmenting(rotate=20), images)
    assert torch.equal(mixed, plain)


@pytest.mark.parametrize("on", OPTIONS)
def test_an_image_of_one_pixel_passes(on: str) -> None:
    found = change(augmenting(**OPTIONS[on]), images_of(8, 3, 1, 1))
    assert found.shape == (8, 3, 1, 1)
    assert found.isfinite().all()


def test_with_everything_off_the_images_come_back_themselves() -> None:
    images = images_of(2, 1, 3, 3)
    assert change(augmenting(), images) is images
