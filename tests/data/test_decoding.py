"""Image files of every kind to pixels, by the rule that `decode` states."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from data_files import drawn, write_image
from PIL import Image
from torchvision.transforms import v2

from mlrun import MlrunError
from mlrun.data.decoding import decode, is_image, quiet_decoding

COLOUR = drawn(12, 10, 3)
GREY = drawn(12, 10)


def luma(colour: np.ndarray) -> np.ndarray:
    return colour.astype(float) @ [0.299, 0.587, 0.114]


@pytest.mark.parametrize("suffix", ["png", "bmp", "ppm", "tif", "tga"])
def test_colour_is_kept_as_it_is_and_made_grey_by_its_luma(suffix: str, tmp_path: Path) -> None:
    path = write_image(tmp_path / f"image.{suffix}", COLOUR)
    found = decode(path, channels=3)
    assert found.dtype == np.uint8
    assert found.flags.c_contiguous
    assert np.array_equal(found, COLOUR.transpose(2, 0, 1))
    grey = decode(path, channels=1)
    assert grey.shape == (1, 12, 10)
    assert np.abs(grey[0] - luma(COLOUR)).max() <= 0.51


def test_grey_is_kept_as_it_is_and_repeated_for_colour(tmp_path: Path) -> None:
    path = write_image(tmp_path / "image.png", GREY)
    assert np.array_equal(decode(path, channels=1), GREY[None])
    assert np.array_equal(decode(path, channels=3), np.stack([GREY] * 3))


@pytest.mark.parametrize("suffix", ["jpg", "webp", "gif"])
def test_formats_with_losses_come_close(suffix: str, tmp_path: Path) -> None:
    smooth = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))
    path = write_image(tmp_path / f"image.{suffix}", smooth)
    assert np.abs(decode(path, channels=1)[0].astype(int) - smooth).mean() < 4


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_scaled_and_not_clipped(suffix: str, tmp_path: Path) -> None:
    wide = np.linspace(0, 65535, 120).astype(np.uint16).reshape(12, 10)
    path = write_image(tmp_path / f"image.{suffix}", wide)
    assert np.array_equal(decode(path, channels=1)[0], np.rint(wide / 257))


def test_wider_numbers_need_a_range_that_is_known(tmp_path: Path) -> None:
    unit = np.linspace(0, 1, 120, dtype=np.float32).reshape(12, 10)
    for values, expected in [
        (unit, np.rint(unit * 255)),
        (unit * 255, np.rint(unit * 255)),
        ((unit * 65535).astype(np.int32), np.rint((unit * 65535).astype(np.int32) / 257)),
    ]:
        path = write_image(tmp_path / "image.tif", values)
        assert np.array_equal(decode(path, channels=1)[0], expected)
    for values, message in [
        (unit * 1000, "values run from 0 to 1000; expected 0 to 1 or 0 to 255"),
        (unit - 0.5, "values run from -0.5 to 0.5"),
        (unit * np.nan, "values run from nan to nan"),
        ((unit * 70000).astype(np.int32), "values run from 0 to 70000; expected 0 to 65535"),
    ]:
        path = write_image(tmp_path / "image.tif", values)
        with pytest.raises(MlrunError, match=message):
            decode(path, channels=1)


def test_one_bit_becomes_black_and_white(tmp_path: Path) -> None:
    path = write_image(tmp_path / "image.png", GREY > 127)
    with Image.open(path) as image:
        assert image.mode == "1"
    assert np.array_equal(decode(path, channels=1)[0], (GREY > 127) * 255)


@pytest.mark.parametrize("channels", [1, 3])
def test_transparency_is_laid_on_white(channels: int, tmp_path: Path) -> None:
    alpha = drawn(12, 10, 1, seed=1)
    path = write_image(tmp_path / "image.png", np.concatenate([COLOUR, alpha], 2))
    share = alpha / 255
    expected = COLOUR * share + 255 * (1 - share)
    expected = luma(expected)[None] if channels == 1 else expected.transpose(2, 0, 1)
    assert np.abs(decode(path, channels=channels) - expected).max() <= 1.5


def test_grey_with_transparency_is_laid_on_white(tmp_path: Path) -> None:
    path = write_image(tmp_path / "image.png", np.stack([GREY, np.zeros_like(GREY)], 2))
    assert (decode(path, channels=1) == 255).all()


def test_palettes_with_and_without_transparency(tmp_path: Path) -> None:
    image = Image.fromarray(COLOUR // 64 * 64).quantize(64)
    image.save(tmp_path / "plain.png")
    expected = np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    assert np.array_equal(decode(tmp_path / "plain.png", channels=3), expected)
    places = np.asarray(image)
    hidden = int(places[0, 0])
    image.save(tmp_path / "clear.png", transparency=hidden)
    image.save(
        tmp_path / "bytes.png", transparency=bytes(0 if n == hidden else 255 for n in range(64))
    )
    for name in ("clear.png", "bytes.png"):
        found = decode(tmp_path / name, channels=3)
        assert np.array_equal(found, np.where(places == hidden, 255, expected))


def test_a_colour_jpeg_for_print_has_its_colours(tmp_path: Path) -> None:
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "red.jpg", quality=95)
    with Image.open(tmp_path / "red.jpg") as image:
        assert image.mode == "CMYK"
    red, green, blue = decode(tmp_path / "red.jpg", channels=3).reshape(3, -1).mean(1)
    assert red > 240
    assert max(green, blue) < 15


def test_a_photograph_is_turned_as_its_camera_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    path = write_image(tmp_path / "turned.png", COLOUR, exif=exif)
    assert np.array_equal(decode(path, channels=3), np.rot90(COLOUR, -1).transpose(2, 0, 1))


def test_an_animation_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("L", (8, 8), shade) for shade in (50, 200)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    assert (decode(tmp_path / "moving.gif", channels=1) == 50).all()


@pytest.mark.parametrize(("height", "width"), [(40, 64), (64, 40), (9, 13), (50, 50)])
def test_a_size_is_torchvision_s_resize_and_centre_crop(
    height: int, width: int, tmp_path: Path
) -> None:
    smooth = Image.fromarray(drawn(5, 5, 3)).resize((width, height), Image.Resampling.BICUBIC)
    smooth.save(tmp_path / "image.png")
    found = decode(tmp_path / "image.png", channels=3, size=(20, 20))
    cut = v2.Compose([v2.PILToTensor(), v2.Resize(20, antialias=True), v2.CenterCrop(20)])(smooth)
    difference = (torch.from_numpy(found).float() - cut.float()).abs()
    assert difference.mean() < 3  # the cut is between pixels here, at whole ones there
    assert found.shape == (3, 20, 20)


def test_a_size_that_is_not_square_is_height_and_width(tmp_path: Path) -> None:
    path = write_image(tmp_path / "image.png", COLOUR)
    assert decode(path, channels=3, size=(6, 8)).shape == (3, 6, 8)
    assert np.array_equal(decode(path, channels=3, size=(12, 10)), COLOUR.transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is not an image that Pillow knows"),
        (b"hello", "it is not an image that Pillow knows"),
        (None, "no such file"),
    ],
)
def test_what_is_no_image_is_named(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MlrunError) as caught:
        decode(path, channels=3)
    assert str(caught.value) == f"cannot read {path}: {message}"


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "webp", "tif", "bmp"])
def test_a_cut_image_is_an_error(suffix: str, tmp_path: Path) -> None:
    path = write_image(tmp_path / f"image.{suffix}", drawn(64, 64, 3))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(MlrunError, match=f"cannot read .*image.{suffix}: ") as caught:
        decode(path, channels=3)
    assert "\n" not in str(caught.value)


def test_a_decompression_bomb_is_an_error_and_a_large_image_no_warning(tmp_path: Path) -> None:
    Image.new("1", (13400, 13400)).save(tmp_path / "bomb.png")
    with pytest.raises(MlrunError, match=r"bomb.png: DecompressionBombError: .*178956970 pixels"):
        decode(tmp_path / "bomb.png", channels=1)
    Image.new("1", (9500, 9500)).save(tmp_path / "large.png")
    with quiet_decoding():
        small = decode(tmp_path / "large.png", channels=1, size=(2, 2))
    assert small.tolist() == [[[0, 0], [0, 0]]]


def test_no_other_program_is_started_for_an_image(tmp_path: Path) -> None:
    """Pillow hands PostScript to Ghostscript, whatever the file is called."""
    Image.new("L", (8, 8)).save(tmp_path / "image.eps")
    (tmp_path / "image.eps").rename(tmp_path / "image.png")
    with pytest.raises(MlrunError, match="it is not an image that Pillow knows"):
        decode(tmp_path / "image.png", channels=1)


def test_images_are_told_by_their_suffix() -> None:
    images = ["jpg", "jpeg", "png", "gif", "webp", "tif", "tiff", "bmp", "mpo", "ppm", "jp2"]
    others = ["eps", "ps", "pdf", "mpg", "h5", "txt"]
    assert [suffix for suffix in images + others if is_image(f"a.{suffix}")] == images
    assert is_image(Path("a/B.JPG"))
    assert not is_image(Path("png"))


def test_decoding_needs_no_torch() -> None:
    code = "import sys, mlrun.data.decoding; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
