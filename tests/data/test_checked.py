"""Images mapped from a file: damage to it is noticed, and no bus error ends the process."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from data_files import drawn
from torch import Tensor

from mlrun.data import checked
from mlrun.data.block_sums import BLOCK
from mlrun.data.checked import CheckedFile, checked_file_of
from mlrun.data.digests import data_digest
from mlrun.data.splits import Selection
from mlrun.errors import MlrunError
from mlrun.plugin import BlockSums, map_checked

SHAPE = (12, 1, 512, 700)  # 4.1 blocks; images lie across their bounds
FOREIGN = """
import mmap, os, sys
import numpy as np
from mlrun.machine.bus_errors import Mapping

def mapped(name):
    with open(name, "w+b") as file:
        file.truncate(mmap.PAGESIZE)
        pages = mmap.mmap(file.fileno(), 0)
        return pages, np.frombuffer(pages, np.uint8), os.dup(file.fileno())

pages, array, descriptor = mapped("guarded")
mapping = Mapping(array.ctypes.data, len(array), descriptor)
os.truncate("guarded", 0)
print(array[7], mapping.lost, flush=True)
other, array, _ = mapped("foreign")
os.truncate("foreign", 0)
print(array[7])
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "images"
    path.write_bytes(drawn(*SHAPE).tobytes())
    return path


def mapped(path: Path) -> tuple[Tensor, CheckedFile]:
    sums = BlockSums()
    sums.update(path.read_bytes())
    images = map_checked(path, SHAPE, sums.sums())
    file = checked_file_of(images)
    assert file is not None
    return images, file


def selection(images: Tensor, *rows: int) -> Selection:
    indices = torch.tensor(rows) if rows else torch.arange(len(images))
    return Selection("train", indices, images, torch.zeros(len(images), dtype=torch.int64))


def flip(path: Path, place: int) -> None:
    """Turns one bit."""
    with path.open("r+b") as file:
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ 16]))


def test_sums_are_those_of_the_blocks_whatever_the_pieces() -> None:
    content = drawn(3 * BLOCK + 5).tobytes()
    expected = [
        zlib.crc32(content[start : start + BLOCK]) for start in range(0, 3 * BLOCK + 5, BLOCK)
    ]
    for length in (len(content), BLOCK, BLOCK - 1, 1_500_001, 70_000):
        sums = BlockSums()
        for start in range(0, len(content), length):
            sums.update(content[start : start + length])
        assert sums.sums() == expected
    assert BlockSums().sums() == []


def test_whole_images_have_the_digest_of_a_copy(path: Path) -> None:
    images, file = mapped(path)
    assert data_digest(selection(images)) == data_digest(selection(images.clone()))
    file.check()
    assert file.fault == ""
    assert path.exists()


@pytest.mark.parametrize("block", [0, 2, 4])
def test_a_flipped_bit_is_found_by_whoever_uses_its_block(path: Path, block: int) -> None:
    images, file = mapped(path)
    place = block * BLOCK + 17
    flip(path, place)
    image = place // images[0].numel()
    with pytest.raises(MlrunError) as error:
        data_digest(selection(images, image))
    end = min((block + 1) * BLOCK, images.numel()) - 1
    assert str(error.value) == (
        f"the file of images {path} is damaged: block {block} (bytes {block * BLOCK:,} to {end:,}) "
        "is not as it was written; it has been removed: start again, and it is made anew"
    )
    assert not path.exists()
    with pytest.raises(MlrunError, match="is damaged"):
        file.check()


def test_a_block_that_is_not_used_is_not_read(path: Path) -> None:
    images, file = mapped(path)
    flip(path, BLOCK + 17)
    data_digest(selection(images, 7, 11))
    data_digest(selection(images[8:]))
    assert file.fault == ""


def test_a_change_after_the_comparison_is_found_by_looking(path: Path) -> None:
    images, file = mapped(path)
    data_digest(selection(images))
    os.utime(path)
    file.check()
    before = path.stat()
    flip(path, 3 * BLOCK)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(MlrunError, match=r"is damaged: block 3 \(bytes 3,145,728 to 4,194,303\)"):
        file.check()


def test_a_file_that_is_replaced_or_removed_is_not_changed(path: Path, tmp_path: Path) -> None:
    images, file = mapped(path)
    data_digest(selection(images))
    (tmp_path / "other").write_bytes(bytes(100))
    (tmp_path / "other").replace(path)
    file.check()
    path.unlink()
    file.check()


def test_a_file_that_took_the_damaged_ones_place_is_not_removed(path: Path, tmp_path: Path) -> None:
    images, _ = mapped(path)
    flip(path, 17)
    path.rename(tmp_path / "damaged")
    path.write_bytes(b"new")
    with pytest.raises(MlrunError, match="is damaged: block 0"):
        data_digest(selection(images))
    assert path.read_bytes() == b"new"


def test_a_cut_file_is_found_by_looking(path: Path) -> None:
    _, file = mapped(path)
    os.truncate(path, 1000)
    with pytest.raises(
        MlrunError, match=r"was cut short, to 1,000 of 4,300,800 bytes; it has been"
    ):
        file.check()


def test_a_cut_file_reads_as_zeros_and_is_then_known_to_be_cut(path: Path) -> None:
    images, file = mapped(path)
    os.truncate(path, 1000)
    assert file.fault == ""
    assert not images[5:].any()
    assert file.fault.startswith(f"the file of images {path} was cut short, or its disk fails: ")
    with pytest.raises(MlrunError, match="it can no longer be read; it has been removed: start "):
        data_digest(selection(images))


def test_threads_that_read_a_cut_file_at_once_all_go_on(path: Path) -> None:
    images, file = mapped(path)
    os.truncate(path, 0)
    found: list[int] = []
    together = threading.Barrier(8)

    def read(image: int) -> None:
        together.wait()
        found.append(int(images[image].sum()))

    threads = [threading.Thread(target=read, args=[image]) for image in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [0] * 8
    assert file.fault
    assert not torch.index_select(images, 0, torch.tensor([11, 3])).any()


def test_what_is_not_known_to_be_lost_stays(path: Path, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    other = tmp_path / "more" / "images"
    other.write_bytes(path.read_bytes())
    images, file = mapped(path)
    whole, second = mapped(other)
    os.truncate(path, 0)
    assert not images.any()
    assert torch.equal(whole, torch.from_numpy(drawn(*SHAPE)))
    assert (bool(file.fault), second.fault) == (True, "")


def test_a_bus_error_of_something_else_ends_the_process(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FOREIGN], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "0 True\n"
    assert done.returncode == -signal.SIGBUS


@pytest.mark.slow
def test_files_are_closed_with_their_images(path: Path) -> None:
    images, file = mapped(path)
    part = images[3:].split(2)[1]
    descriptor = file.descriptor
    del images
    gc.collect()
    assert checked_file_of(part) is file
    assert checked_file_of(part.clone()) is None
    del part
    gc.collect()
    assert file not in checked.FILES
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_rows_of_images_that_do_not_lie_in_a_row_have_all_blocks_compared(path: Path) -> None:
    images, file = mapped(path)
    flip(path, 17)
    with pytest.raises(MlrunError, match="block 0"):
        file.compare_rows(images.transpose(0, 2), np.array([500]))
