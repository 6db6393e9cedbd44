"""Image types besides Pillow's own: named where they cannot be read, decoded where a plugin can."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from data_files import drawn, load, write_image, write_tree
from PIL import Image
from pillow_plugins import TOY, write_toy

from mlrun import MlrunError
from mlrun.data.decoding import formats
from mlrun.seam.registry import discover

Command = Callable[..., tuple[int, str, str]]
pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a plugin that registers a decoder; Pillow forgets it afterwards."""
    formats()  # all that is there is registered
    for name in ("ID", "OPEN", "EXTENSION"):
        monkeypatch.setattr(Image, name, getattr(Image, name).copy())
    path = tmp_path / "toy_images.py"
    path.write_text(TOY)
    return path


def test_images_of_a_type_that_is_not_read_are_named(
    tmp_path: Path, told: Callable[[], str]
) -> None:
    tree = write_tree(tmp_path / "tree", count=2)
    for name in ("1.cr2", "2.cr2", "3.dcm", "notes.txt", ".hidden.cr2"):
        (tree / "a" / name).write_bytes(b"")
    (tree / "b" / "IM0001").write_bytes(b"\0" * 128 + b"DICM")
    for _ in range(2):
        load("image-folder", tmp_path, path="tree")
        text = told()
        assert (
            "image-folder: left out: 2 camera raw images (convert them to PNG or TIFF), 2 DICOM "
            "images (convert them to 16-bit PNG or TIFF)\n"
        ) in text
        assert ", 2 other files ignored" in text or "decoding" not in text


def test_a_class_of_such_images_is_refused_with_their_type(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", count=2)
    for path in (tree / "b").iterdir():
        path.rename(path.with_suffix(".nef"))
    with pytest.raises(MlrunError) as caught:
        load("image-folder", tmp_path, path="tree")
    assert str(caught.value) == (
        f"no images in {tree / 'b'} that can be read, but 2 camera raw images (convert them to "
        "PNG or TIFF); add some or remove the folder"
    )


def test_a_decoder_of_a_plugin_works_in_the_decoding_processes(tmp_path: Path, toy: Path) -> None:
    shades = [np.full((8, 8), 10 * number) for number in range(20)]
    for number, pixels in enumerate(shades):
        write_toy(tmp_path / "tree" / "ab"[number // 10] / f"{number:02}.toy", pixels)
    with pytest.raises(MlrunError, match="no images in"):
        load("image-folder", tmp_path, path="tree")
    discover([toy])
    data = load("image-folder", tmp_path, path="tree", size=(800, 800), channels=1, workers=2)
    assert data.train.images[:, 0, 0, 0].tolist() == [10 * number for number in range(20)]


def test_a_decoder_of_an_installed_plugin_works_there_too(
    tmp_path: Path, toy: Path, install: Callable[..., Path]
) -> None:
    install("toys", TOY)
    for number in range(20):
        write_toy(tmp_path / "tree" / "ab"[number // 10] / f"{number:02}.toy", drawn(8, 8))
    registry = discover()
    assert registry.complaints() == []
    data = load("image-folder", tmp_path, path="tree", size=(800, 800), channels=1, workers=2)
    assert len(data.train.images) == 20


def test_heic_is_decoded_beside_this_process(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif", reason="needs the extra heif: mlrun-vision[heif]")
    for name in "ab":
        for number in range(9):
            write_image(tmp_path / "tree" / name / f"{number}.heic", np.full((32, 32, 3), 99, "u1"))
    data = load("image-folder", tmp_path, path="tree", size=(400, 400), workers=2)
    assert (data.train.images.float() - 99).abs().mean() < 3


def test_prediction_reads_what_a_plugin_decodes(
    finished: str, home: Path, toy: Path, command: Command
) -> None:
    write_toy(home / "pictures" / "x.toy", drawn(8, 8))
    write_toy(home / "pictures" / "y.cr2", drawn(8, 8))
    code, stdout, stderr = command("predict", finished, "pictures")
    assert (code, stdout) == (2, "")
    assert stderr == (
        "Error: folder pictures: there is no image file in it that can be read, but 1 camera raw "
        "image (convert them to PNG or TIFF)\n"
    )
    code, stdout, stderr = command("predict", finished, "pictures", "--plugin", str(toy))
    assert code == 1
    assert stdout.splitlines()[1].startswith("pictures/x.toy  ")
    assert stderr == (
        "Warning: folder pictures: left out: 1 camera raw image (convert them to PNG or TIFF)\n"
    )
