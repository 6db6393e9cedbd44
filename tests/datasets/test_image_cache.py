"""The decoded copy of an image folder: made once, noticed when stale, never half there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch
from cache_folders import cache_of
from data_files import drawn, load, write_image, write_tree

pytestmark = pytest.mark.usefixtures("home")


def test_images_are_decoded_once(tmp_path: Path, told: Callable[[], str]) -> None:
    write_tree(tmp_path / "tree")
    first = load("image-folder", tmp_path, path="tree")
    assert "decoding 8 images into" in told()
    made = (cache_of(tmp_path) / "images").stat()
    second = load("image-folder", tmp_path, path="tree", workers=2, skip_unreadable=True)
    assert told() == ""
    assert (cache_of(tmp_path) / "images").stat().st_ino == made.st_ino
    assert torch.equal(first.train.images, second.train.images)
    assert made.st_size == first.train.images.numel()


def test_the_images_are_a_map_of_the_file_and_not_in_memory(tmp_path: Path) -> None:
    write_tree(tmp_path / "tree")
    data = load("image-folder", tmp_path, path="tree")
    path, start = str(cache_of(tmp_path) / "images"), data.train.images.data_ptr()
    ranges = [
        [int(end, 16) for end in mapping.addr.split("-")]
        for mapping in psutil.Process().memory_maps(grouped=False)
        if mapping.path == path
    ]
    assert any(low <= start < high for low, high in ranges)


def grow(tree: Path) -> None:
    write_image(tree / "b" / "new.png", drawn(5, 5, 3))


def shrink(tree: Path) -> None:
    (tree / "a" / "2.png").unlink()


def repaint(tree: Path) -> None:
    write_image(tree / "a" / "2.png", drawn(5, 5, 3))


def touch(tree: Path) -> None:
    """Other pixels in a file of the same length."""
    path = tree / "a" / "2.bmp"
    (length,) = {path.stat().st_size}
    write_image(path, 255 - drawn(8, 8, 3))
    os.utime(path, ns=(0, 12345))
    assert path.stat().st_size == length


def rename(tree: Path) -> None:
    (tree / "b").rename(tree / "c")


@pytest.mark.parametrize("change", [grow, shrink, repaint, touch, rename])
def test_a_stale_copy_is_noticed(
    change: Callable[[Path], None], tmp_path: Path, told: Callable[[], str]
) -> None:
    tree = write_tree(tmp_path / "tree")
    write_image(tree / "a" / "2.bmp", drawn(8, 8, 3))
    before = load("image-folder", tmp_path, path="tree")
    told()
    change(tree)
    after = load("image-folder", tmp_path, path="tree")
    fresh = load("image-folder", tmp_path, path="tree", cache=str(tmp_path / "other"))
    assert told().count("decoding") == 2
    assert torch.equal(after.train.images, fresh.train.images)
    assert after.classes == fresh.classes
    assert before.classes != after.classes or not torch.equal(
        before.train.images, after.train.images
    )


def test_other_options_have_a_copy_of_their_own(tmp_path: Path, told: Callable[[], str]) -> None:
    write_tree(tmp_path / "tree")
    write_tree(tmp_path / "other" / "tree")
    for _ in range(2):
        for options in ({}, {"size": 8}, {"size": (8, 9)}, {"channels": 1}):
            load("image-folder", tmp_path, path="tree", **options)
        load("image-folder", tmp_path, path="other/tree")
    assert told().count("decoding") == 5


def cut(cache: Path) -> None:
    with (cache / "images").open("r+b") as file:
        file.truncate(100)


def flip(cache: Path) -> None:
    content = bytearray((cache / "images").read_bytes())
    content[-1] ^= 1
    (cache / "images").write_bytes(content)


def misdescribe(cache: Path) -> None:
    path = cache / "manifest.json"
    path.write_text(path.read_text().replace('"shape": [3, 64, 64]', '"shape": [3, 64, 60]'))


def garble(cache: Path) -> None:
    (cache / "manifest.json").write_text("{")


def empty(cache: Path) -> None:
    (cache / "manifest.json").write_text("{}")


def lose(cache: Path) -> None:
    (cache / "images").unlink()


def age(cache: Path) -> None:
    """As another version of mlrun has written it."""
    path = cache / "manifest.json"
    path.write_text(path.read_text().replace('"rule": 2', '"rule": 1'))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (cache / "manifest.sha256").write_text(digest)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (cut, "it has 100 of 98,304 bytes"),
        (flip, "block 0 of its pixels is not as it was written"),
        (misdescribe, "its manifest is damaged"),
        (garble, "its manifest is damaged"),
        (empty, "its manifest is damaged"),
        (lose, ""),
        (age, ""),
    ],
)
def test_a_damaged_or_outdated_copy_is_made_again(
    damage: Callable[[Path], None], said: str, tmp_path: Path, told: Callable[[], str]
) -> None:
    write_tree(tmp_path / "tree")
    expected = load("image-folder", tmp_path, path="tree").train.images.clone()
    cache = cache_of(tmp_path)
    told()
    damage(cache)
    assert torch.equal(load("image-folder", tmp_path, path="tree").train.images, expected)
    *warned, decoding = told().splitlines()
    assert decoding.startswith("image-folder: decoding 8 images into ")
    assert warned == ([f"image-folder: the cache {cache} is made again: {said}"] if said else [])
