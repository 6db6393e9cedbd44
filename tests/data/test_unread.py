"""Images of types that Pillow cannot read are named, with what reads them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from data_files import drawn, write_image

from mlrun import MlrunError
from mlrun.data.decoding import decode, is_image
from mlrun.data.unread import unread_types

HEIF = b"\0\0\0\x18ftypheic\0\0\0\0"
WITHOUT = "import sys; sys.modules['pillow_heif'] = None\n"


def failure(path: Path) -> str:
    with pytest.raises(MlrunError) as caught:
        decode(path, channels=3)
    return str(caught.value)


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.cr2", "1 camera raw image (convert them to PNG or TIFF)"),
        ("a.NEF", "1 camera raw image (convert them to PNG or TIFF)"),
        ("a.jxl", "1 JPEG XL image (pip install pillow-jxl-plugin reads them)"),
        ("a.svg", "1 SVG image (convert them to PNG)"),
        ("a.dcm", "1 DICOM image (convert them to 16-bit PNG or TIFF)"),
        ("a.exr", "1 OpenEXR image (convert them to floating-point TIFF)"),
        ("a.png", ""),
        ("a.txt", ""),
    ],
)
def test_a_type_is_told_by_the_suffix(name: str, text: str, tmp_path: Path) -> None:
    assert is_image(tmp_path / name) == (name == "a.png")
    assert unread_types([tmp_path / name]) == text


def test_types_are_counted(tmp_path: Path) -> None:
    names = ["a.cr2", "b.cr3", "notes.txt", "c.svg"]
    assert unread_types(tmp_path / name for name in names) == (
        "2 camera raw images (convert them to PNG or TIFF), 1 SVG image (convert them to PNG)"
    )


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"\0" * 128 + b"DICM", "DICOM"),
        (b"\xff\x0a123", "JPEG XL"),
        (b"\0\0\0\x18ftypcrx ", "camera raw"),
        (b"<svg/>", "SVG"),
    ],
)
def test_a_file_is_told_by_its_content_where_its_suffix_does_not(
    content: bytes, name: str, tmp_path: Path
) -> None:
    for path in (tmp_path / "IM0001", tmp_path / "a.jpg"):
        path.write_bytes(content)
        assert failure(path).startswith(f"cannot read {path}: it is {name}; ")
    assert unread_types([tmp_path / "IM0001"]).startswith(f"1 {name} image (")


def test_heic_without_its_decoder_is_named_with_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(HEIF)
    code = f"""{WITHOUT}
from pathlib import Path
from mlrun.data.decoding import decode, is_image
from mlrun.data.unread import unread_types
assert not is_image("a.heic")
print(unread_types([Path("a.heic"), Path("b.HEIF")]))
try:
    decode(Path({str(tmp_path / "a.jpg")!r}), channels=3)
except Exception as error:
    print(error)
"""
    assert run(code).splitlines() == [
        "2 HEIC images (pip install 'mlrun-vision[heif]' reads them)",
        f"cannot read {tmp_path / 'a.jpg'}: it is HEIC; pip install 'mlrun-vision[heif]' reads "
        "them",
    ]


def test_heic_is_read_where_its_decoder_is_installed(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif", reason="needs the extra heif: mlrun-vision[heif]")
    assert is_image("a.heic")
    assert unread_types([Path("a.heic")]) == ""
    smooth = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))
    path = write_image(tmp_path / "image.heic", np.stack([smooth] * 3, -1))
    assert np.abs(decode(path, channels=1)[0].astype(int) - smooth).mean() < 4
    path.write_bytes(path.read_bytes()[:40])
    assert failure(path).startswith(f"cannot read {path}: ")
    assert "pip install" not in failure(path)


def test_a_decoder_that_cannot_be_loaded_is_named_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "pillow_jxl.py").write_text("raise OSError('libjxl is not there')")
    image = write_image(tmp_path / "a.png", drawn(4, 4))
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import logging
logging.basicConfig(format="%(message)s", stream=sys.stdout)
from pathlib import Path
from mlrun.data.decoding import decode
print(decode(Path({str(image)!r}), channels=1).shape)
"""
    assert run(code).splitlines() == [
        "pillow_jxl cannot be used: OSError: libjxl is not there",
        "(1, 4, 4)",
    ]
