"""Changed test data."""

from __future__ import annotations

import pytest
import torch
import torchvision.transforms.v2.functional as reference
from torch import Tensor

from mlrun.data.normalisation import Normalisation
from mlrun.data.variants import Variant, apply, draw
from mlrun.errors import MlrunError
from mlrun.settings import Settings
from mlrun.settings.plan import make_plan

TO = Normalisation((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
ALL = [Variant(rotate=25), Variant(shift=2), Variant(noise=0.1), Variant(blur=1)]


def pixels_of(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def change(variant: Variant, images: Tensor, seed: int = 0) -> Tensor:
    return apply(variant, images, seed=seed, fill=TO.shift, unit=255 * TO.scale)


def change_pixels(variant: Variant, pixels: Tensor, seed: int = 0) -> Tensor:
    """Standardises pixels that are 0–1, changes them, and undoes the standardisation."""
    changed: Tensor = (change(variant, TO(255 * pixels), seed) - TO.shift) / (255 * TO.scale)
    return changed


@pytest.mark.parametrize(
    ("variant", "name"),
    [
        (Variant(rotate=25), "rotated-25"),
        (Variant(noise=0.1), "noised-0.1"),
        (Variant(blur=1), "blurred-1"),
        (Variant(shift=2.0), "shifted-2"),
        (Variant(noise=0.25, blur=1.5, shift=2), "shifted-2-blurred-1.5-noised-0.25"),
        (Variant(shift=1, rotate=10), "rotated-10-shifted-1"),
        (Variant(), ""),
    ],
)  # fmt: skip
def test_the_name_says_what_was_done(variant: Variant, name: str) -> None:
    assert variant.name == name
    assert variant.active == bool(name)


@pytest.mark.parametrize("shape", [(28, 28), (12, 20), (1, 1)])
@pytest.mark.parametrize(
    "variant", [Variant(rotate=25), Variant(shift=2.5), Variant(rotate=90, shift=1)]
)
def test_rotating_and_shifting_are_torchvision_s_affine(
    variant: Variant, shape: tuple[int, int]
) -> None:
    pixels = pixels_of(16, 3, *shape)
    found = change_pixels(variant, pixels, seed=3)
    for i, (angle, right, down) in enumerate(zip(*draw(variant, 16, seed=3), strict=True)):
        expected = reference.affine(
            pixels[i],
            angle=angle.item(),
            translate=[right.item(), down.item()],
            scale=1.0,
            shear=[0.0, 0.0],
            interpolation=reference.InterpolationMode.BILINEAR,
        )
        torch.testing.assert_close(found[i], expected, atol=2e-5, rtol=0)


def test_draws_are_uniform_and_do_not_depend_on_what_else_is_on() -> None:
    angle, right, down = draw(Variant(rotate=25, shift=2), 4000, seed=1)
    for values, most in [(angle, 25), (right, 2), (down, 2)]:
        assert values.abs().max() <= most
        counts = torch.histc(values, 8, -most, most)  # 500 each, with a deviation of 21
        assert (counts - 500).abs().max() < 100
    assert torch.equal(draw(Variant(rotate=25, noise=1), 4000, seed=1)[0], angle)
    assert torch.equal(draw(Variant(shift=2), 4000, seed=1)[2], down)


@pytest.mark.parametrize("shape", [(28, 28), (9, 30)])
@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0])
def test_blurring_is_torchvision_s_gaussian_blur(sigma: float, shape: tuple[int, int]) -> None:
    pixels = pixels_of(4, 3, *shape)
    reach = {0.5: 2, 1.0: 3, 2.0: 6}[sigma]
    expected = reference.gaussian_blur(pixels, [2 * reach + 1] * 2, [sigma] * 2)
    found = change_pixels(Variant(blur=sigma), pixels)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_a_blur_may_be_wider_than_the_image() -> None:
    found = change_pixels(Variant(blur=50), pixels_of(2, 3, 5, 8))
    assert found.std((2, 3)).max() < 0.02
    assert change_pixels(Variant(blur=3), pixels_of(2, 3, 1, 1)).tolist() == [
        [[[pytest.approx(value, abs=1e-5)]] for value in image]
        for image in pixels_of(2, 3, 1, 1).flatten(1).tolist()
    ]


def test_noise_has_the_stated_deviation_and_is_clipped_to_pixels() -> None:
    grey = torch.full((500, 3, 8, 8), 0.5)
    found = change_pixels(Variant(noise=0.1), grey)
    assert found.std((0, 2, 3)).tolist() == pytest.approx([0.1] * 3, rel=0.02)
    strong = change_pixels(Variant(noise=3), grey)
    assert strong.min().item() == pytest.approx(0, abs=1e-6)
    assert strong.max().item() == pytest.approx(1, abs=1e-6)


def test_noise_comes_last_so_that_nothing_smooths_it() -> None:
    grey = torch.full((500, 3, 8, 8), 0.5)
    assert change_pixels(Variant(blur=2, noise=0.1), grey).std().item() == pytest.approx(
        0.1, rel=0.02
    )


@pytest.mark.parametrize("variant", [*ALL[:2], *(Variant(blur=b) for b in (0.7, 1, 1.3, 2, 3))])
def test_black_stays_exactly_black(variant: Variant) -> None:
    black = TO(torch.zeros(8, 3, 9, 9))
    assert torch.equal(change(variant, black), black)


@pytest.mark.parametrize("variant", ALL)
def test_the_seed_decides_and_nothing_else_is_touched(variant: Variant) -> None:
    images = TO(255 * pixels_of(8, 3, 9, 12))
    kept, state = images.clone(), torch.get_rng_state()
    found = change(variant, images, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(images, kept)
    assert not torch.equal(found, images)
    assert torch.equal(found, change(variant, images, seed=1))
    assert torch.equal(found, change(variant, images, seed=2)) == (variant.blur > 0)


def test_with_nothing_on_the_images_come_back_themselves() -> None:
    images = pixels_of(2, 3, 4, 4)
    assert change(Variant(), images) is images


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"rotate": 200}, "rotate 200: expected a number from 0 to 180"),
        ({"rotate": -1}, "rotate -1: expected a number from 0 to 180"),
        ({"shift": -1}, "shift -1: expected a number from 0 to "),
        ({"noise": -0.5}, "noise -0.5: expected a number from 0 to "),
        ({"blur": float("nan")}, "blur nan: expected a number from 0 to "),
    ],
)
def test_values_out_of_bounds_are_refused(bad: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Variant(**bad)


@pytest.mark.parametrize(
    ("text", "variant"),
    [
        ("rotate=25", Variant(rotate=25)),
        (" rotate = 2.5 + noise=1e-1 ", Variant(rotate=2.5, noise=0.1)),
        ("blur=1+shift=2", Variant(shift=2, blur=1)),
    ],
)
def test_a_text_names_a_variant(text: str, variant: Variant) -> None:
    assert Variant.parse(text) == variant


def test_variants_are_settings_as_text_or_list_and_are_read_back() -> None:
    wanted = Settings.parse({"test_variants": "rotate=25, rotate=10+noise=0.1"})
    assert wanted.test_variants == ("rotate=25", "rotate=10+noise=0.1")
    assert Settings.parse({"test-variants": ["rotate=25", "rotate=10+noise=0.1"]}) == wanted
    assert Settings.parse({"test_variants": "none"}) == Settings()
    assert make_plan(wanted).params()["test_variants"] == "rotate=25,rotate=10+noise=0.1"
    assert Settings.parse({"test_variants": make_plan(wanted).params()["test_variants"]}) == wanted


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("rotat=5", "unknown change rotat; did you mean rotate? There are: blur, noise, rotate, s"),
        ("rotate", "expected changes such as rotate=25 or rotate=25+noise=0.1, got 'rotate'"),
        ("rotate=1+rotate=2", "expected changes such as rotate=25 or rotate=25+noise=0.1, got"),
        ("rotate=0", "rotate=0 changes nothing; leave out what is 0"),
        ("rotate=200", "rotate 200.0: expected a number from 0 to 180"),
        ("noise=x", "noise: expected a number, got 'x'"),
        ("noise=nan", "noise: expected a number, got 'nan'"),
        ("rotate=5,rotate=5.0", "expected different changes, got 'rotate=5,rotate=5.0'"),
        ({"rotate": 25}, "expected different changes such as rotate=25 or rotate=25+noise=0.1, w"),
        (25, "expected different changes such as rotate=25 or rotate=25+noise=0.1, with commas"),
    ],
)
def test_a_wrong_variant_is_one_line(given: object, message: str) -> None:
    with pytest.raises(MlrunError) as caught:
        Settings.parse({"test_variants": given})
    assert str(caught.value).startswith(f"test_variants: {message}")
