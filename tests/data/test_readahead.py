"""Images mapped from a file: what is read beforehand is what is used next."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_training import CPU, NORMALISATION
from torch import Tensor

from mlrun.data import readahead
from mlrun.data.batches import Batches, Batching
from mlrun.data.examples import ExampleStore
from mlrun.data.readahead import readahead_of
from mlrun.data.splits import Selection

SHAPE = (50, 3, 16, 16)
HEAD = 100  # bytes of the file before the images

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what is mapped")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "some images"
    path.write_bytes(np.random.default_rng(0).integers(0, 256, HEAD + 50 * 768, np.uint8).tobytes())
    return path


@pytest.fixture
def told(file: Path, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What the system was told to read: the bytes at those places of the file."""
    pieces: list[bytes] = []
    content, real = file.read_bytes(), os.posix_fadvise

    def advise(descriptor: int, place: int, size: int, advice: int) -> None:
        assert advice == os.POSIX_FADV_WILLNEED
        assert os.fstat(descriptor).st_ino == file.stat().st_ino
        pieces.append(content[place : place + size])
        real(descriptor, place, size, advice)

    monkeypatch.setattr(os, "posix_fadvise", advise)
    return pieces


def mapped(file: Path) -> Tensor:
    return torch.from_numpy(np.memmap(file, np.uint8, "r+", offset=HEAD, shape=SHAPE))


def as_bytes(images: Tensor) -> list[bytes]:
    return [image.numpy().tobytes() for image in images]


def test_rows_are_found_in_the_file_also_in_a_part_of_it(file: Path, told: list[bytes]) -> None:
    for images in (mapped(file), mapped(file)[7:], mapped(file).split(20)[1]):
        ahead = readahead_of(images)
        assert ahead is not None
        told.clear()
        ahead(torch.tensor([12, 0, 3]))
        assert told == as_bytes(images[[12, 0, 3]])


def test_images_in_memory_or_apart_from_each_other_are_not_read_ahead(file: Path) -> None:
    assert readahead_of(torch.zeros(SHAPE, dtype=torch.uint8)) is None
    assert readahead_of(mapped(file)[:, :1]) is None


def test_a_file_that_is_gone_costs_nothing(file: Path) -> None:
    images = mapped(file)
    file.unlink()
    assert readahead_of(images) is None


def test_where_the_system_does_not_tell_what_is_mapped_nothing_is_read_ahead(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readahead, "MAPS", file.parent / "maps")
    assert readahead_of(mapped(file)) is None


def test_each_batch_is_read_while_the_one_before_it_is_used(file: Path, told: list[bytes]) -> None:
    images = mapped(file)
    selection = Selection("train", torch.arange(5, 47), images, torch.arange(50) % 3)
    options = Batching(16, shuffle=True, seed=5)
    given = Batches(ExampleStore.of(selection, NORMALISATION, CPU), options)
    in_memory = Selection("train", torch.arange(5, 47), images.clone(), torch.arange(50) % 3)
    plain = Batches(ExampleStore.of(in_memory, NORMALISATION, CPU), options)
    sent, counts = [], []
    for (batch, _), (expected, _) in zip(given.epoch(1), plain.epoch(1), strict=True):
        assert torch.equal(batch, expected)
        sent += as_bytes(((expected * 0.25 + 0.5) * 255).round().to(torch.uint8))
        counts.append(len(told))
    assert counts == [32, 42, 42]
    assert told == sent


def test_the_file_is_closed_with_the_batches(file: Path) -> None:
    ahead = readahead_of(mapped(file))
    assert ahead is not None
    descriptor = ahead.file
    os.fstat(descriptor)
    del ahead
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
