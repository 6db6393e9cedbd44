"""Values of more than 8 bits: none is lost in a known range, whatever the file."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from data_files import drawn, write_image
from deep_files import write_png16, write_tiff
from PIL import Image

from mlrun import MlrunError
from mlrun.data.decoding import decode, decode_with_levels, values_of

DIM = 1000 + drawn(12, 10, 4).astype(int) % 200
RANGE = (1000.0, 1199.0)


def in_range(values: np.ndarray, low: float = 1000, high: float = 1199) -> np.ndarray:
    return np.rint((values.astype(float).clip(low, high) - low) * 255 / (high - low))


@pytest.mark.parametrize(
    ("suffix", "dtype"),
    [("png", "u2"), ("tif", "u2"), ("tif", "i4"), ("tif", "f4"), ("tif", "u4"), ("jp2", "u2")],
)
def test_a_range_decides_what_becomes_0_and_255(suffix: str, dtype: str, tmp_path: Path) -> None:
    grey = DIM[..., 0].astype(dtype)
    how = {"irreversible": False} if suffix == "jp2" else {}
    path = write_image(tmp_path / f"image.{suffix}", grey.view("i4") if dtype == "u4" else grey)
    assert how or values_of(path) == (grey.min(), grey.max())
    assert np.array_equal(decode(path, channels=1, value_range=RANGE)[0], in_range(grey))
    clamped = decode(path, channels=1, value_range=(1050, 1060))[0]
    assert np.array_equal(clamped, in_range(grey, 1050, 1060))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_png_of_16_bits_keeps_both_bytes_in_colour_too(channels: int, tmp_path: Path) -> None:
    values = DIM[..., :channels].astype("u2")
    if channels in (2, 4):
        values[..., -1] = 65535
    path = write_png16(tmp_path / "image.png", values)
    colours = values[..., : channels - (channels in (2, 4))]
    mode = 3 if channels > 2 else 1
    assert values_of(path) == (colours.min(), colours.max())
    found = decode(path, channels=mode, value_range=RANGE)
    assert np.array_equal(found, in_range(colours).transpose(2, 0, 1))
    values[..., -1] = 0
    if channels in (2, 4):
        path = write_png16(tmp_path / "clear.png", values)
        assert (decode(path, channels=mode, value_range=RANGE) == 255).all()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("how", [{}, {"packed": True}, {"planes": True}])
def test_a_colour_tiff_of_16_bits_keeps_both_bytes(
    how: dict[str, bool], order: str, tmp_path: Path
) -> None:
    path = write_tiff(tmp_path / "image.tif", DIM[..., :3].astype("u2"), order, **how)
    found = decode(path, channels=3, value_range=RANGE)
    assert np.array_equal(found, in_range(DIM[..., :3]).transpose(2, 0, 1))


def test_colours_whose_low_bytes_cannot_be_had_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    write_tiff(path, DIM[..., :3].astype("u2"), "<", planes=True, packed=True)
    with pytest.raises(
        MlrunError, match=r"16-bit colours in compressed planes .* only 8 bits; save"
    ):
        decode(path, channels=3)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("packed", [False, True])
def test_floats_are_read_in_the_order_of_their_bytes(
    packed: bool, order: str, tmp_path: Path
) -> None:
    values = DIM[..., :1].astype("f4")
    path = write_tiff(tmp_path / "image.tif", values, order, packed=packed)
    assert values_of(path) == (values.min(), values.max())
    assert np.array_equal(decode(path, channels=1, value_range=RANGE)[0], in_range(values[..., 0]))


def test_a_whole_number_of_32_bits_has_no_sign_that_its_file_lacks(tmp_path: Path) -> None:
    values = (3_000_000_000 + drawn(4, 4).astype(int)).astype("u4")
    path = write_image(tmp_path / "image.tif", values.view("i4"))
    signed, unsigned = (struct.pack("<HHIHxx", 339, 3, 1, kind) for kind in (2, 1))
    assert signed in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(signed, unsigned))
    assert values_of(path) == (values.min(), values.max())


def test_images_of_8_bits_have_no_range_and_are_left_alone(tmp_path: Path) -> None:
    path = write_image(tmp_path / "image.png", drawn(12, 10))
    assert values_of(path) is None
    assert np.array_equal(decode(path, channels=1, value_range=RANGE)[0], drawn(12, 10))
    assert decode_with_levels(path, channels=1).levels is None


def test_a_turned_image_is_turned_in_both_bytes(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    grey = DIM[..., 0].astype("u2")
    path = write_image(tmp_path / "image.png", grey, exif=exif)
    assert np.array_equal(
        decode(path, channels=1, value_range=RANGE)[0], in_range(np.rot90(grey, -1))
    )


def test_levels_are_counted_before_an_image_is_scaled(tmp_path: Path) -> None:
    grey = np.full((20, 20), 1000, "u2")
    grey[3, 3] = 1199
    path = write_image(tmp_path / "image.png", grey)
    pixels, levels = decode_with_levels(path, channels=1, size=(6, 6), value_range=RANGE)
    assert pixels.shape == (1, 6, 6)
    assert levels is not None
    assert {int(n): int(levels[n]) for n in levels.nonzero()[0]} == {0: 399, 255: 1}


@pytest.mark.filterwarnings("error")
def test_what_is_no_finite_number_is_dark_or_clamped_and_all_of_it_an_error(
    tmp_path: Path,
) -> None:
    values = np.array([[np.nan, -np.inf, np.inf], [1000, 1100, 1199]], np.float32)
    path = write_image(tmp_path / "image.tif", values)
    assert values_of(path) == RANGE
    assert decode(path, channels=1, value_range=RANGE).tolist() == [[[0, 0, 255], [0, 128, 255]]]
    for odd, text in ((np.nan, "nan to nan"), (np.inf, "inf to inf")):
        path = write_image(tmp_path / "odd.tif", np.full((3, 3), odd, np.float32))
        for read in (values_of, lambda p: decode(p, channels=1, value_range=RANGE)):
            with pytest.raises(MlrunError, match=f"its values run from {text}; expected finite"):
                read(path)
